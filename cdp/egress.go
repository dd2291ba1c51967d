package cdp

import (
	"context"
	"errors"

	"github.com/waybill-dev/waybill/cdp/egress"
)

// bypassNothing makes Chrome use the proxy for loopback too.
const bypassNothing = "<-loopback>"

// way is the browser's own way out: that of its default context, and of whatever
// it asks for by itself. It is nil without an egress proxy.
func (o Options) way() (*egress.Lease, error) {
	if o.Egress == nil {
		return nil, nil
	}
	return o.Egress.Lease()
}

// wayFlags are the flags that differ between two browsers of one configuration,
// so they are no part of its digest.
func (o Options) wayFlags(l *egress.Lease) []string {
	if l == nil {
		return nil
	}
	return []string{"--proxy-server=http://" + l.Addr(), "--proxy-bypass-list=" + bypassNothing,
		"--ignore-certificate-errors-spki-list=" + o.Egress.SPKI()}
}

func closeWay(l *egress.Lease) {
	if l != nil {
		l.Close()
	}
}

// Egress is the session's way out, nil if the pool has no proxy. With isolation
// profile it is shared with what the browser asks for by itself.
func (s *Session) Egress() *egress.Lease { return s.tab.egress }

// BeginVisit begins a visit at the proxy, which the pool must have; it is
// Egress().Begin for any browser. One at an endpoint was not told at its start to
// trust the proxy's certificates, so its page is told now, and only for as long as
// the proxy looks inside TLS and checks the origins' certificates itself. Service
// workers are not told, so what they ask for fails.
func (s *Session) BeginVisit(ctx context.Context, v egress.Visit) error {
	if s.browser.opts.Endpoint == "" {
		s.tab.egress.Begin(v)
		return nil
	}
	inspected := s.browser.opts.Egress.Inspects() || v.Record || v.Replay != nil
	return s.do(ctx, "the page to trust the proxy", func(ctx context.Context) error {
		if err := s.tab.trustAll(ctx, false); err != nil {
			return err
		}
		s.tab.egress.Begin(v)
		if !inspected {
			return nil
		}
		return s.tab.trustAll(ctx, true)
	})
}

// Chrome's names for what the proxy does to a request that gets no answer: the
// tunnel is refused, or the answer is one that it must not accept.
const (
	errTunnel = "net::ERR_TUNNEL_CONNECTION_FAILED"
	errAnswer = "net::ERR_RESPONSE_HEADERS_MULTIPLE_CONTENT_LENGTH"
)

// because adds the proxy's reason to a failed navigation.
func (s *Session) because(err error, before int) error {
	var nav *NavigationError
	if s.tab.egress == nil || !errors.As(err, &nav) || nav.Code != errTunnel && nav.Code != errAnswer {
		return err
	}
	if _, last := s.tab.egress.Failures(before); last != nil {
		nav.Cause = last
	}
	return err
}

// state is the page's at this moment, with what the proxy did not answer so far.
func (s *Session) state() pageState {
	st := s.events.state()
	if s.tab.egress != nil {
		st.unanswered, _ = s.tab.egress.Failures(0)
	}
	return st
}
