package cdp_test

import (
	"context"
	"errors"
	"testing"
	"time"

	"github.com/waybill-dev/waybill/cdp"
	"github.com/waybill-dev/waybill/cdp/cdptest"
)

func TestSessionsShareNothing(t *testing.T) {
	url, _ := serve(t)
	p := shared.Pool(t)
	a, b := cdptest.Acquire(t, p), cdptest.Acquire(t, p)
	if a.PID() != b.PID() {
		t.Fatal("the sessions do not share a browser, so this proves nothing")
	}
	read := func(s *cdp.Session) string {
		t.Helper()
		if _, err := s.Navigate(t.Context(), url); err != nil {
			t.Fatal(err)
		}
		got, err := s.Evaluate(t.Context(), "document.cookie + '|' + localStorage.getItem('k')", nil, 0)
		if err != nil {
			t.Fatal(err)
		}
		return string(got)
	}
	read(a)
	if _, err := a.Evaluate(t.Context(), "document.cookie = 'c=1'; localStorage.setItem('k', 'v')", nil, 0); err != nil {
		t.Fatal(err)
	}
	if got := read(a); got != `"c=1|v"` {
		t.Errorf("the session itself sees %s", got)
	}
	if got := read(b); got != `"|null"` {
		t.Errorf("its neighbour sees %s", got)
	}
	a.Close()
	if got := read(cdptest.Acquire(t, p)); got != `"|null"` {
		t.Errorf("the next session sees %s", got)
	}
}

func TestAcquireWaitsAndCanBeCancelled(t *testing.T) {
	p := cdptest.Pool(t, cdptest.Options(t))
	s := cdptest.Acquire(t, p)
	ctx, cancel := context.WithCancel(t.Context())
	got := make(chan error, 1)
	go func() {
		_, err := p.Acquire(ctx)
		got <- err
	}()
	cancel()
	if err := <-got; !errors.Is(err, context.Canceled) {
		t.Errorf("a cancelled wait: %v", err)
	}
	s.Close()
	s.Close() // frees its place once
	cdptest.Acquire(t, p)
	if free := p.Free(); free != 0 {
		t.Errorf("%d places are free", free)
	}
}

func TestBrowsersAreSmallAndStartedWhenNeeded(t *testing.T) {
	o := cdptest.Options(t)
	o.Sessions, o.PerBrowser = 4, 2
	p := cdptest.Pool(t, o)
	if n := p.Live(); n != 0 {
		t.Errorf("%d browsers before the first session", n)
	}
	count := map[int]int{}
	for range 4 {
		count[cdptest.Acquire(t, p).PID()]++
	}
	if len(count) != 2 {
		t.Errorf("sessions by browser: %v", count)
	}
	for pid, n := range count {
		if n != 2 {
			t.Errorf("browser %d has %d sessions", pid, n)
		}
	}
}

func TestBrowserIsRecycled(t *testing.T) {
	url, _ := serve(t)
	o := cdptest.Options(t)
	o.Sessions, o.MaxUses = 2, 2
	p := cdptest.Pool(t, o)
	first, second := cdptest.Acquire(t, p), cdptest.Acquire(t, p)
	second.Close()
	third := cdptest.Acquire(t, p)
	if first.PID() != second.PID() || third.PID() == first.PID() {
		t.Errorf("browsers %d, %d, %d", first.PID(), second.PID(), third.PID())
	}
	// The retired browser lives until its last session is closed.
	if _, err := first.Navigate(t.Context(), url); err != nil {
		t.Error(err)
	}
	first.Close()
	eventually(t, "the retired browser is gone", func() bool { return len(cdp.GroupMembers(first.PID())) == 0 })
}

// A browser that is worn out takes no more sessions, and ends when it has none.
func TestBrowserRetires(t *testing.T) {
	for name, c := range map[string]struct {
		set  func(*cdp.Options)
		wear func(*cdp.Pool, *cdp.Session)
	}{
		"memory":  {func(o *cdp.Options) { o.MaxMemory = 1 << 20 }, func(p *cdp.Pool, _ *cdp.Session) { p.CheckMemory(false) }},
		"age":     {func(o *cdp.Options) { o.MaxAge = 1 }, func(*cdp.Pool, *cdp.Session) {}},
		"strikes": {func(*cdp.Options) {}, func(_ *cdp.Pool, s *cdp.Session) { s.Strike(); s.Strike(); s.Strike() }},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			url, _ := serve(t)
			o := cdptest.Options(t)
			o.Sessions, o.Browsers = 2, 1
			c.set(&o)
			p := cdptest.Pool(t, o)
			first := cdptest.Acquire(t, p)
			c.wear(p, first)
			if second := cdptest.Acquire(t, p); second.PID() == first.PID() {
				t.Error("the browser got another session")
			}
			if _, err := first.Navigate(t.Context(), url); err != nil {
				t.Errorf("the session inside: %v", err)
			}
			first.Close()
			eventually(t, "the browser is gone", func() bool { return len(cdp.GroupMembers(first.PID())) == 0 })
		})
	}
}

// Beyond the memory of all browsers new sessions wait, but one is always let in.
func TestMemoryBudgetShutsTheGate(t *testing.T) {
	o := cdptest.Options(t)
	o.Sessions, o.Browsers, o.Memory = 2, 1, 1<<20
	p := cdptest.Pool(t, o)
	first := cdptest.Acquire(t, p)
	if !p.CheckMemory(false) || p.Stats().Memory < 1<<20 {
		t.Fatalf("%+v", p.Stats())
	}
	ctx, cancel := context.WithTimeout(t.Context(), 100*time.Millisecond)
	defer cancel()
	if _, err := p.Acquire(ctx); !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("a session beyond the budget: %v", err)
	}
	first.Close()
	cdptest.Acquire(t, p)
}

func TestUserAgentAndViewport(t *testing.T) {
	url, _ := serve(t)
	o := cdptest.Options(t)
	o.Page = cdp.PageOptions{Width: 400, Height: 300, UserAgent: "waybill-test/1"}
	s := cdptest.Acquire(t, cdptest.Pool(t, o))
	if _, err := s.Navigate(t.Context(), url+"/agent"); err != nil {
		t.Fatal(err)
	}
	got, err := s.Evaluate(t.Context(), "[document.body.innerText, innerWidth, innerHeight]", nil, 0)
	if err != nil || string(got) != `["waybill-test/1",400,300]` {
		t.Errorf("%s, %v", got, err)
	}
}
