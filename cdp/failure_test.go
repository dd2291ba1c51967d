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

// navigating begins a navigation that never ends and returns its error.
func navigating(ctx context.Context, t *testing.T, s *cdp.Session, url string, asked <-chan struct{}) <-chan error {
	t.Helper()
	failed := make(chan error, 1)
	go func() {
		_, err := s.Navigate(ctx, url+"/hang")
		failed <- err
	}()
	<-asked
	return failed
}

func TestKilledBrowserFailsOnlyItsSessions(t *testing.T) {
	url, asked := serve(t)
	o := cdptest.Options(t)
	o.Sessions, o.PerBrowser = 2, 1
	p := cdptest.Pool(t, o)
	doomed, sibling := cdptest.Acquire(t, p), cdptest.Acquire(t, p)
	if doomed.PID() == sibling.PID() {
		t.Fatal("the sessions share a browser")
	}
	failed := navigating(t.Context(), t, doomed, url, asked)
	if err := syscall.Kill(-doomed.PID(), syscall.SIGKILL); err != nil {
		t.Fatal(err)
	}
	err := <-failed
	if !errors.Is(err, cdp.ErrBrowserLost) || errors.Is(err, context.Canceled) {
		t.Errorf("navigation in the killed browser: %v", err)
	}
	if err := doomed.Err(); !errors.Is(err, cdp.ErrBrowserLost) {
		t.Errorf("session of the killed browser: %v", err)
	}
	if _, err := sibling.Navigate(t.Context(), url); err != nil {
		t.Errorf("session of the other browser: %v", err)
	}
	doomed.Close()
	next := cdptest.Acquire(t, p)
	if _, err := next.Navigate(t.Context(), url); err != nil {
		t.Errorf("session of the replacement: %v", err)
	}
}

func TestCrashedPageLeavesItsSiblingAlone(t *testing.T) {
	url, _ := serve(t)
	p := shared.Pool(t)
	doomed, sibling := cdptest.Acquire(t, p), cdptest.Acquire(t, p)
	if doomed.PID() != sibling.PID() {
		t.Fatal("the sessions do not share a browser")
	}
	for _, s := range []*cdp.Session{doomed, sibling} {
		if _, err := s.Navigate(t.Context(), url); err != nil {
			t.Fatal(err)
		}
	}
	failed := make(chan error, 1)
	go func() { failed <- doomed.WaitFor(t.Context(), cdp.At("#never"), cdp.Present) }()
	doomed.CrashPage()
	if err := <-failed; !errors.Is(err, cdp.ErrPageCrashed) {
		t.Errorf("the wait in the crashed page: %v", err)
	}
	if _, err := doomed.HTML(t.Context(), 0); !errors.Is(err, cdp.ErrPageCrashed) {
		t.Errorf("a later command: %v", err)
	}
	if ok, err := sibling.Has(t.Context(), cdp.At("h1"), cdp.Visible); err != nil || !ok {
		t.Errorf("the sibling: %v, %v", ok, err)
	}
}

func TestCancelIsACancel(t *testing.T) {
	url, asked := serve(t)
	s := cdptest.Acquire(t, shared.Pool(t))
	ctx, cancel := context.WithCancelCause(t.Context())
	failed := navigating(ctx, t, s, url, asked)
	stopped := errors.New("stopped by the test")
	cancel(stopped)
	err := <-failed
	if !errors.Is(err, context.Canceled) || !errors.Is(err, stopped) || errors.Is(err, cdp.ErrBrowserLost) {
		t.Errorf("got %v", err)
	}
}

func TestTimeoutSaysWhatWasWaitedFor(t *testing.T) {
	url, _ := serve(t)
	s := cdptest.Acquire(t, cdptest.Pool(t, cdptest.Options(t)))
	if _, err := s.Navigate(t.Context(), url+"/stuck"); err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		name, want string
		do         func(ctx context.Context) error
	}{
		{"missing element", "no element matches", func(ctx context.Context) error { return s.WaitFor(ctx, cdp.At("#nope"), cdp.Visible) }},
		{"covered element", "it is covered by <div#over>", func(ctx context.Context) error { return s.Click(ctx, cdp.At("#b"), cdp.Click{}) }},
		{"not a field", "it is not a field: <div#over>", func(ctx context.Context) error {
			return s.Fill(ctx, cdp.At("#over"), cdp.Fill{Text: "x", Append: true})
		}},
		{"busy page", "", func(ctx context.Context) error {
			_, err := s.Evaluate(ctx, "while (true);", nil, 0)
			return err
		}},
	} {
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		err := c.do(ctx)
		cancel()
		var timeout *cdp.TimeoutError
		if !errors.As(err, &timeout) || !errors.Is(err, context.DeadlineExceeded) || timeout.Last != c.want {
			t.Errorf("%s: %v", c.name, err)
		}
	}
}

func TestHungBrowserIsReplaced(t *testing.T) {
	url, _ := serve(t)
	o := cdptest.Options(t)
	o.Health = cdp.Health{Every: 50 * time.Millisecond, Timeout: 100 * time.Millisecond}
	p := cdptest.Pool(t, o)
	s := cdptest.Acquire(t, p)
	if err := syscall.Kill(-s.PID(), syscall.SIGSTOP); err != nil {
		t.Fatal(err)
	}
	_, err := s.Navigate(t.Context(), url)
	if !errors.Is(err, cdp.ErrBrowserLost) {
		t.Fatalf("navigation in the stopped browser: %v", err)
	}
	s.Close()
	s = cdptest.Acquire(t, p)
	if _, err := s.Navigate(t.Context(), url); err != nil {
		t.Errorf("navigation in the replacement: %v", err)
	}
}

func TestPageThatIsClosed(t *testing.T) {
	url, _ := serve(t)
	s := cdptest.Acquire(t, shared.Pool(t))
	if _, err := s.Navigate(t.Context(), url+"/close"); err != nil {
		t.Fatal(err)
	}
	if err := s.CloseTarget(t.Context()); err != nil {
		t.Fatal(err)
	}
	if err := s.WaitFor(t.Context(), cdp.At("#never"), cdp.Present); !errors.Is(err, cdp.ErrPageClosed) {
		t.Errorf("got %v", err)
	}
}

func TestClosedSessionSaysSo(t *testing.T) {
	p := shared.Pool(t)
	s := cdptest.Acquire(t, p)
	s.Close()
	if _, err := s.HTML(t.Context(), 0); !errors.Is(err, cdp.ErrSessionClosed) {
		t.Errorf("got %v", err)
	}
}
