package cdp_test

import (
	"bufio"
	"context"
	"errors"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/waybill-dev/waybill/cdp"
	"github.com/waybill-dev/waybill/cdp/cdptest"
)

// lease opens a session that is closed after the test.
func lease(t *testing.T, p *cdp.Pool, r cdp.Request) *cdp.Session {
	t.Helper()
	s, err := p.Lease(t.Context(), r)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(s.Close)
	return s
}

// evaluate returns a script's value as JSON.
func evaluate(t *testing.T, s *cdp.Session, script string) string {
	t.Helper()
	v, err := s.Evaluate(t.Context(), script, nil, 0)
	if err != nil {
		t.Fatal(err)
	}
	return string(v)
}

func navigate(t *testing.T, s *cdp.Session, url string) {
	t.Helper()
	if _, err := s.Navigate(t.Context(), url); err != nil {
		t.Fatal(err)
	}
}

const (
	leaveTraces = `document.cookie = "c=1; max-age=1000"; localStorage.k = 1; sessionStorage.k = 1; window.name = "n";
		setInterval(() => { sessionStorage.again = 1; localStorage.again = 1 }, 1);
		addEventListener("pagehide", () => { sessionStorage.last = 1; localStorage.last = 1; document.cookie = "last=1" });
		new Promise((done) => { const r = indexedDB.open("db", 1); r.onsuccess = () => { r.result.close(); done(1) } })`
	seeTraces = `indexedDB.databases().then((d) => [document.cookie, Object.keys(localStorage), Object.keys(sessionStorage), window.name, d.length, history.length])`
	noTraces  = `["",[],[],"",0,2]`
)

func TestPageIsClearedBetweenUses(t *testing.T) {
	url, _ := serve(t)
	p := shared.Pool(t)
	ours := cdp.Request{Isolation: cdp.IsolatePage, Key: "ours"}
	first := lease(t, p, ours)
	navigate(t, first, url)
	evaluate(t, first, leaveTraces)
	if got := evaluate(t, first, seeTraces); got == noTraces {
		t.Fatal("the page left no traces, so this proves nothing")
	}
	first.Close()
	eventually(t, "the page is parked", func() bool { return p.Stats().Parked == 1 })
	theirs := lease(t, p, cdp.Request{Isolation: cdp.IsolatePage, Key: "theirs"})
	if theirs.TargetID() == first.TargetID() {
		t.Error("another key got the page")
	}
	second := lease(t, p, ours)
	if second.TargetID() != first.TargetID() {
		t.Fatal("the page is not used again")
	}
	if _, err := first.HTML(t.Context(), 0); !errors.Is(err, cdp.ErrSessionClosed) {
		t.Errorf("the old session: %v", err)
	}
	navigate(t, second, url)
	if got := evaluate(t, second, seeTraces); got != noTraces {
		t.Errorf("the second use sees %s", got)
	}
}

func TestPageThatCannotBeClearedIsNotUsedAgain(t *testing.T) {
	url, _ := serve(t)
	elsewhere := strings.Replace(url, "127.0.0.1", "localhost", 1)
	for name, dirty := range map[string]func(*cdp.Session){
		"two origins":   func(s *cdp.Session) { navigate(t, s, elsewhere) },
		"foreign frame": func(s *cdp.Session) { frame(t, s, elsewhere) },
		"poisoned":      func(s *cdp.Session) { s.Poison() },
		"timed out": func(s *cdp.Session) {
			ctx, cancel := context.WithTimeout(t.Context(), 200*time.Millisecond)
			defer cancel()
			_, _ = s.Evaluate(ctx, "while (true);", nil, 0)
		},
	} {
		t.Run(name, func(t *testing.T) {
			p := shared.Pool(t)
			r := cdp.Request{Isolation: cdp.IsolatePage, Key: name}
			first := lease(t, p, r)
			navigate(t, first, url)
			dirty(first)
			first.Close()
			p.Settle(t)
			if second := lease(t, p, r); second.TargetID() == first.TargetID() {
				t.Error("the page is used again")
			}
		})
	}
}

// frame adds a frame and waits until it is loaded.
func frame(t *testing.T, s *cdp.Session, url string) {
	t.Helper()
	evaluate(t, s, `new Promise((done) => { const f = document.createElement("iframe"); f.src = "`+url+`"; f.onload = () => done(1); document.body.append(f) })`)
}

func TestStickySessionGoesOn(t *testing.T) {
	url, _ := serve(t)
	p := shared.Pool(t)
	r := cdp.Request{Sticky: cdp.Sticky{Key: "ada", Uses: 2}}
	first := lease(t, p, r)
	navigate(t, first, url)
	evaluate(t, first, "document.cookie = 'user=ada'")
	// Another with this key waits until the first is closed.
	ctx, cancel := context.WithTimeout(t.Context(), 100*time.Millisecond)
	if _, err := p.Lease(ctx, r); !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("a second session beside the first: %v", err)
	}
	cancel()
	first.Close()
	second := lease(t, p, r)
	if got := evaluate(t, second, "document.cookie"); got != `"user=ada"` {
		t.Errorf("the second session sees %s", got)
	}
	second.Close()
	third := lease(t, p, r)
	navigate(t, third, url)
	if got := evaluate(t, third, "document.cookie"); got != `""` {
		t.Errorf("beyond its uses the session goes on: %s", got)
	}
}

func TestFewSessionsAreParked(t *testing.T) {
	o := cdptest.Options(t)
	p := cdptest.Pool(t, o)
	for _, key := range []string{"a", "b", "c", "d", "e"} {
		lease(t, p, cdp.Request{Sticky: cdp.Sticky{Key: key}}).Close()
		p.Settle(t)
	}
	if n := p.Stats().Parked; n != 4 {
		t.Errorf("%d pages are parked", n)
	}
}

func TestStickySessionExpires(t *testing.T) {
	p := shared.Pool(t)
	p.Settle(t) // what earlier tests closed
	before := p.Stats().Parked
	r := cdp.Request{Sticky: cdp.Sticky{Key: "short", TTL: time.Millisecond}}
	first := lease(t, p, r)
	first.Close()
	p.Settle(t)
	eventually(t, "the session is gone", func() bool { return p.Stats().Parked == before })
	if second := lease(t, p, r); second.TargetID() == first.TargetID() {
		t.Error("the session outlived its time")
	}
}

func TestProfileIsKeptAndExclusive(t *testing.T) {
	url, _ := serve(t)
	o := cdptest.Options(t)
	o.Sessions = 2
	// Longer than the path of a socket may be, which Chromium makes among its
	// temporary files.
	o.Profiles = filepath.Join(o.Dir, strings.Repeat("long-", 24))
	ada := cdp.Request{Isolation: cdp.IsolateProfile, Key: "ada"}
	p, other := cdptest.Pool(t, o), cdptest.Pool(t, o) // another pool is like another process
	first := lease(t, p, ada)
	navigate(t, first, url)
	evaluate(t, first, "document.cookie = 'c=1; max-age=1000'; localStorage.k = 'v'")
	for name, p := range map[string]*cdp.Pool{"same pool": p, "other pool": other} {
		ctx, cancel := context.WithTimeout(t.Context(), 250*time.Millisecond)
		if _, err := p.Lease(ctx, ada); !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("%s: a second session of the profile: %v", name, err)
		}
		cancel()
	}
	first.Close()
	second := lease(t, other, ada)
	navigate(t, second, url)
	if got := evaluate(t, second, "document.cookie + localStorage.k"); got != `"c=1v"` {
		t.Errorf("the profile was not kept: %s", got)
	}
	if n := len(cdp.GroupMembers(first.PID())); n > 0 {
		t.Errorf("%d processes of the first browser run beside the second", n)
	}
}

func TestProcessIsAlone(t *testing.T) {
	o := cdptest.Options(t)
	o.Sessions = 2
	p := cdptest.Pool(t, o)
	r := cdp.Request{Isolation: cdp.IsolateProcess}
	a, b := lease(t, p, r), lease(t, p, r)
	if a.PID() == b.PID() {
		t.Error("two sessions share a browser")
	}
	a.Close()
	eventually(t, "the browser is gone", func() bool { return len(cdp.GroupMembers(a.PID())) == 0 })
}

func TestRequestsAreChecked(t *testing.T) {
	p := shared.Pool(t)
	for _, r := range []cdp.Request{
		{Isolation: "tab"}, {Isolation: cdp.IsolatePage}, {Isolation: cdp.IsolateProfile}, {Key: "x"},
		{Isolation: cdp.IsolateProcess, Sticky: cdp.Sticky{Key: "x"}},
	} {
		if s, err := p.Lease(t.Context(), r); err == nil {
			t.Errorf("%+v is accepted", r)
			s.Close()
		}
	}
}

// A browser that somebody else runs is used and left alone.
func TestRemoteBrowser(t *testing.T) {
	url, _ := serve(t)
	o := cdptest.Options(t)
	address, cmd := startRemote(t, o)
	pool := cdptest.Pool(t, cdp.Options{Endpoint: address})
	s := lease(t, pool, cdp.Request{})
	navigate(t, s, url)
	if got := s.Build(); got.Binary != "remote" || got.Product == "" {
		t.Errorf("build: %+v", got)
	}
	if _, err := pool.Lease(t.Context(), cdp.Request{Isolation: cdp.IsolateProcess}); err == nil {
		t.Error("a process of its own at an endpoint")
	}
	s.Close()
	if err := pool.Close(); err != nil {
		t.Fatal(err)
	}
	if err := cmd.Process.Signal(syscall.Signal(0)); err != nil {
		t.Errorf("somebody else's browser was ended: %v", err)
	}
}

// startRemote runs a browser with a DevTools port until the end of the test.
func startRemote(t *testing.T, o cdp.Options) (address string, cmd *exec.Cmd) {
	t.Helper()
	cmd = exec.Command(o.Binary.Path, "--headless", "--no-sandbox", "--remote-debugging-port=0", "--user-data-dir="+o.Dir+"/remote")
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	output, err := cmd.StderrPipe()
	if err == nil {
		err = cmd.Start()
	}
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		_ = syscall.Kill(-cmd.Process.Pid, syscall.SIGKILL)
		_ = cmd.Wait()
	})
	for lines := bufio.NewScanner(output); lines.Scan(); {
		if m := regexp.MustCompile(`ws://\S+`).FindString(lines.Text()); m != "" {
			return m, cmd
		}
	}
	t.Fatal("the browser names no address")
	return "", nil
}
