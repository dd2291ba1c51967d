package execute

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/netip"
	"net/url"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/waybill-dev/waybill/cdp/egress"
	"github.com/waybill-dev/waybill/pipeline"
)

// NetworkConfig says what pages may reach. Everything that a page asks for,
// WebSockets and workers too, goes through a proxy of the stage that keeps to it.
type NetworkConfig struct {
	// Hosts that may be reached: example.com, example.com:8443, *.example.com (any
	// name below), 192.0.2.7, each with a port, with * for any port, or without one
	// for the scheme's own. The default is every host.
	Allow []string `yaml:"allow,optional" secret:"false"`
	// Hosts that may not be reached, also if allow has them; without a port, on any.
	Deny []string `yaml:"deny,optional" secret:"false"`
	// Whether addresses that are not of the public internet may be reached:
	// loopback, private, link-local and the like. Name the hosts in allow then.
	Private bool `yaml:"private,optional"`
	// Addresses of names, instead of what a resolver says.
	Hosts map[string]string `yaml:"hosts,optional" secret:"false"`
	// URL of an http or https proxy to go through. It is asked for addresses that
	// were checked here, not for names.
	Proxy string `yaml:"proxy,optional"`
	// Types of resources that are not fetched: image, font, media, stylesheet,
	// script, websocket.
	Block []string `yaml:"block,optional" secret:"false"`
	// How often a host is asked.
	Rate NetworkRate `yaml:"rate,optional"`
	// respect keeps to each host's robots.txt, under the name waybill.
	Robots string `yaml:"robots,optional" enum:"respect|ignore"`
	// Most bytes that one item may send and receive.
	Bytes pipeline.Bytes `yaml:"bytes,optional" min:"1"`
	// Hosts that are told the item's traceparent.
	Traceparent []string `yaml:"traceparent,optional" secret:"false"`
	// A capture (HAR or WACZ) to answer from instead of the network, as a path.
	// What it does not have is refused.
	Replay *pipeline.Template `yaml:"replay,optional"`
}

// NetworkRate limits requests.
type NetworkRate struct {
	// Most requests to one host, over all pages of the stage: 2/s, 100/m. Those
	// beyond it wait.
	PerHost rate `yaml:"perHost,optional"`
}

// rate is a number of requests per second, minute or hour.
type rate egress.Rate

var ratePattern = regexp.MustCompile(`^([1-9][0-9]{0,5})/(s|m|h)$`)

// UnmarshalNode reads 2/s.
func (r *rate) UnmarshalNode(n *pipeline.Node) {
	m := ratePattern.FindStringSubmatch(n.Text())
	if n.Kind() != pipeline.KindScalar || m == nil {
		n.Problem(pipeline.CodeBadValue, "2/s, 100/m or 1000/h", "want a number of requests per second, minute or hour")
		return
	}
	r.Requests, _ = strconv.Atoi(m[1]) // six digits at most
	r.Per = map[string]time.Duration{"s": time.Second, "m": time.Minute, "h": time.Hour}[m[2]]
}

// NodeSchema describes the syntax.
func (rate) NodeSchema() json.RawMessage {
	return json.RawMessage(`{"type":"string","pattern":"^[1-9][0-9]{0,5}/(s|m|h)$"}`)
}

// policy is what the proxy is told. A URL or an address that cannot be read is
// left out: check reports it first.
func (c NetworkConfig) policy() egress.Policy {
	p := egress.Policy{Allow: c.Allow, Deny: c.Deny, Private: c.Private, Block: c.Block, PerHost: egress.Rate(c.Rate.PerHost),
		Robots: c.Robots == "respect", Bytes: int64(c.Bytes), Trace: c.Traceparent, Hosts: map[string]netip.Addr{}}
	for name, text := range c.Hosts {
		if a, err := netip.ParseAddr(text); err == nil {
			p.Hosts[strings.ToLower(name)] = a
		}
	}
	if c.Proxy != "" {
		p.Upstream, _ = url.Parse(c.Proxy)
	}
	return p
}

func (c NetworkConfig) validate(v *pipeline.Validation) {
	for _, p := range c.policy().Problems() {
		v.Problem("network."+p.Field, pipeline.CodeBadValue, p.Hint, "%s", p.Message)
	}
	if _, err := url.Parse(c.Proxy); err != nil { // its text may have a password
		v.Problem("network.proxy", pipeline.CodeBadValue, "http://proxy.example.com:3128", "this is not a URL")
	}
	for name, text := range c.Hosts {
		if _, err := netip.ParseAddr(text); err != nil {
			v.Problem(fmt.Sprintf("network.hosts[%q]", name), pipeline.CodeBadValue, "192.0.2.7 or 2001:db8::1", "%q is not an address", text)
		}
	}
}

// network runs the steps under the item's network policy: it begins the visit at
// the proxy, ends it, and turns what it did into metadata, log lines, captures
// and, if the item may not go on, a typed error.
func (v *visit) network(ctx context.Context, steps func(context.Context) error) error {
	lease := v.session.Egress()
	if lease == nil { // a pool of the tests
		return v.captured(ctx, steps)
	}
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	request := egress.Visit{Record: v.stage.cfg.records(), Traceparent: pipeline.TraceFrom(ctx).Parent,
		Exceeded: func(e *egress.Error) { cancel(e) }}
	var err error
	if request.Replay, err = v.stage.replay(v.item); err != nil {
		return err
	}
	if err := v.session.BeginVisit(ctx, request); err != nil {
		return (&Step{Name: "begin"}).failure(ctx, err)
	}
	v.course.lost = v.onErrorPage() // a session goes on where another ended
	err = v.captured(ctx, steps)
	report := lease.Report()
	v.tell(ctx, report)
	var over *egress.Error
	if errors.As(context.Cause(ctx), &over) {
		return v.keepFailed(ctx, v.exceeded(err, over))
	}
	return v.keepFailed(ctx, hintAtRefusals(err, report))
}

// hintAtRefusals tells whoever looks at a failed step that the page did not get
// all that it asked for: that is often why.
func hintAtRefusals(err error, r egress.Report) error {
	var step *pipeline.Error
	var itself *egress.Error
	if !errors.As(err, &step) || step.Hint != "" || errors.As(err, &itself) || r.Refused() == 0 {
		return err
	}
	for _, f := range slices.Backward(r.Failures) {
		if f.Policy() && f.Code != egress.CodeType {
			return hinted(err, fmt.Sprintf("requests of the page were refused (%d), the last: %v", r.Refused(), f))
		}
	}
	return err
}

// exceeded is the failure of an item whose bytes were used up, at the step in
// which that happened.
func (v *visit) exceeded(err error, over *egress.Error) error {
	e := pipeline.Fail(over.Code, "%w", over).WithHint("raise network.bytes")
	var step *pipeline.Error
	if errors.As(err, &step) {
		e.Pos = step.Pos
	}
	return e
}

// maxTold is how many refusals of one item are logged one by one.
const maxTold = 20

// tell logs what had no answer, and counts refusals in the item's metadata.
func (v *visit) tell(ctx context.Context, r egress.Report) {
	if n := r.Refused(); n > 0 {
		v.item.SetMeta("network.refused", strconv.Itoa(n))
	}
	log := v.stage.env.Log
	if log == nil {
		return
	}
	told := 0
	for _, f := range r.Failures {
		switch {
		case !f.Policy() || f.Code == egress.CodeType:
			log.DebugContext(ctx, "request without an answer", "item", v.item.ID, "code", f.Code, "error", f)
		case told < maxTold:
			told++
			log.InfoContext(ctx, "request refused", "item", v.item.ID, "code", f.Code, "error", f)
		}
	}
	if n := r.Refused(); n > told {
		log.InfoContext(ctx, "more requests refused", "item", v.item.ID, "count", n-told)
	}
}

// refusal classifies what the proxy says.
func refusal(e *egress.Error) (kind pipeline.Kind, code, hint string) {
	if !e.Permanent() {
		return pipeline.Retry, "navigation-failed", ""
	}
	switch e.Code {
	case egress.CodeAddress:
		hint = "if the pipeline may go there, say network: { private: true } and name the host in network.allow"
	case egress.CodeHost:
		hint = "see network.allow and network.deny of the stage"
	case egress.CodeReplay:
		hint = "the page asks for something that it did not ask for when it was captured"
	case egress.CodeBytes:
		hint = "raise network.bytes"
	}
	return pipeline.Permanent, e.Code, hint
}
