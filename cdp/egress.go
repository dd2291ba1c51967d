package cdp

import (
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

// failures counts what the proxy did not answer so far.
func (s *Session) failures() int {
	if s.tab.egress == nil {
		return 0
	}
	n, _ := s.tab.egress.Failures(0)
	return n
}
