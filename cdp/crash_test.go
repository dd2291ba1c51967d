package cdp_test

import (
	"context"
	"errors"
	"syscall"
	"testing"
	"time"

	"github.com/waybill-dev/waybill/cdp"
	"github.com/waybill-dev/waybill/cdp/cdptest"
)

// All page processes of a browser may die together, as when the machine is out of
// memory: the session's, the spare's, and the one that Chrome keeps for itself.
// The session fails, and the next one works.
func TestAllPageProcessesDie(t *testing.T) {
	url, _ := serve(t)
	p := cdptest.Pool(t, cdptest.Options(t))
	next := func(ctx context.Context) *cdp.Session {
		for {
			s, err := p.Acquire(ctx)
			if err != nil {
				t.Fatal(err)
			}
			if _, err = s.Navigate(ctx, url); err == nil {
				return s
			}
			s.Close()
			if !errors.Is(err, cdp.ErrPageCrashed) { // the spare, whose end may be told late
				t.Fatal(err)
			}
		}
	}
	for i := range 2 {
		ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
		s := next(ctx)
		if i == 0 {
			p.Settle(t) // the spare is ready; the second time it may be opening
		}
		for _, r := range s.Renderers() {
			_ = syscall.Kill(r.PID, syscall.SIGKILL)
		}
		if err := s.WaitFor(ctx, cdp.At("#never"), cdp.Present); !errors.Is(err, cdp.ErrPageCrashed) {
			t.Errorf("round %d: the session of the killed page: %v", i, err)
		}
		s.Close()
		next(ctx).Close()
		cancel()
	}
}
