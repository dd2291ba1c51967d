package cdp

import (
	"context"
	"fmt"
	"os"
	"strconv"
)

// Report is what a real launch showed.
type Report struct {
	Build
	Binary Binary
	// Sandboxed: every renderer runs under a seccomp filter and not as root.
	Sandboxed bool
	// Detail says what was seen of the sandbox.
	Detail string
}

// Check launches a browser, opens a page and looks at how it is confined.
func Check(ctx context.Context, o Options) (Report, error) {
	p, err := NewPool(o)
	if err != nil {
		return Report{}, err
	}
	defer p.Close()
	s, err := p.Acquire(ctx)
	if err != nil {
		return Report{}, err
	}
	defer s.Close()
	r := Report{Build: s.Build(), Binary: o.Binary}
	r.Sandboxed, r.Detail = s.browser.confinement()
	return r, nil
}

// confinement reads the state of the renderers from the kernel.
func (b *browser) confinement() (bool, string) {
	rs := renderers(b.host.pid())
	if len(rs) == 0 {
		return false, "no renderer was found to look at"
	}
	for _, r := range rs {
		if r.seccomp != "2" {
			return false, fmt.Sprintf("renderer %d has no seccomp filter", r.pid)
		}
		if r.uid == "0" {
			return false, fmt.Sprintf("renderer %d runs as root", r.pid)
		}
	}
	as := "uid " + rs[0].uid
	if rs[0].uid == strconv.Itoa(os.Getuid()) {
		as += " (ours)"
	}
	return true, "renderers run as " + as + " under seccomp filters"
}
