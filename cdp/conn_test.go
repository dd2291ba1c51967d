package cdp

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"strings"
	"testing"
	"time"
)

// script is the browser's end of a pipe, played by a test.
type script struct {
	t        *testing.T
	commands *bufio.Reader
	answers  *os.File
}

// sent is a command as the browser reads it.
type sent struct {
	ID        int64
	Method    string
	SessionID string
	Params    json.RawMessage
}

// scripted connects to a browser that the test plays.
func scripted(t *testing.T) (*pipe, *script) {
	t.Helper()
	out, answers, err1 := os.Pipe()
	commands, in, err2 := os.Pipe()
	if err := errors.Join(err1, err2); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _, _ = answers.Close(), commands.Close() })
	return newPipe(out, in), &script{t, bufio.NewReader(commands), answers}
}

func (s *script) next() (c sent) {
	s.t.Helper()
	raw, err := s.commands.ReadBytes(0)
	if err == nil {
		err = json.Unmarshal(raw[:len(raw)-1], &c)
	}
	if err != nil {
		s.t.Error(err)
	}
	return c
}

// expect reads the next command, which must be this one, and answers it.
func (s *script) expect(method, result string) sent {
	s.t.Helper()
	c := s.next()
	if c.Method != method {
		s.t.Errorf("the command is %s, want %s", c.Method, method)
	}
	s.send(`{"id":%d,"result":%s}`, c.ID, result)
	return c
}

func (s *script) send(format string, args ...any) {
	s.t.Helper()
	if _, err := fmt.Fprintf(s.answers, format+"\x00", args...); err != nil {
		s.t.Error(err)
	}
}

// start makes a connection that ends with the test, with a link to a page.
func start(t *testing.T) (*link, *pipe, *script) {
	t.Helper()
	p, s := scripted(t)
	c, _ := newConn(p)
	t.Cleanup(c.close)
	return c.link("S"), p, s
}

func ask(ctx context.Context, l *link, method string, most int64) error {
	var result struct{ Value string }
	return l.conn.run(ctx, command{on: l, method: method, params: struct{}{}, result: &result, most: most})
}

// Of a message that nobody wants, or that is too large, nothing is kept, and the
// connection works on.
func TestConnectionThrowsAway(t *testing.T) {
	l, p, s := start(t)
	heard, unsubscribe := l.Subscribe("Runtime.heard")
	defer unsubscribe()
	failed := make(chan error, 1)
	go func() { failed <- ask(t.Context(), l, "Runtime.large", 1000) }()
	c := s.next()
	s.send(`{"method":"Runtime.unheard","params":{this is not decoded}}`)
	s.send(`{"id":999,"result":{nobody waits for this}}`)
	s.send(`{"id":%d,"result":{"value":"%s"},"sessionId":"S"}`, c.ID, strings.Repeat("x", maxKept/2))
	var large *TooLargeError
	if err := <-failed; !errors.As(err, &large) || large.Size < maxKept/2 || large.Most != 1000 {
		t.Errorf("got %v", err)
	}
	if n := cap(p.long); n > 4*p.reader.Size() {
		t.Errorf("%d bytes were kept", n)
	}
	s.send(`{"method":"Runtime.heard","params":{"text":"%s"},"sessionId":"S"}`, strings.Repeat("x", maxEvent))
	if params := <-heard; params != nil {
		t.Errorf("an event that is too large has %d bytes of parameters", len(params))
	}
	go func() { failed <- ask(t.Context(), l, "Runtime.small", 1000) }()
	s.send(`{"id":%d,"result":{"value":"x"}}`, s.next().ID)
	if err := <-failed; err != nil {
		t.Error(err)
	}
}

// A browser that does not read holds nobody beyond his deadline, and gets every
// command whole once it reads again.
func TestBrowserThatDoesNotRead(t *testing.T) {
	l, _, s := start(t)
	text := strings.Repeat("x", 100<<10) // more than a pipe holds
	const n = 3
	for range n {
		ctx, cancel := context.WithTimeout(t.Context(), 10*time.Millisecond)
		err := l.Call(ctx, "Input.insertText", map[string]string{"text": text}, nil)
		cancel()
		if !errors.Is(err, context.DeadlineExceeded) {
			t.Fatalf("got %v", err)
		}
	}
	done := make(chan error, 1)
	go func() { done <- l.Call(t.Context(), "Page.last", struct{}{}, nil) }()
	c := s.next()
	if c.Method != "Input.insertText" || len(c.Params) < len(text) {
		t.Errorf("the first command arrives as %s of %d bytes", c.Method, len(c.Params))
	}
	s.expect("Page.last", "{}") // the others were given up before their turn
	if err := <-done; err != nil {
		t.Error(err)
	}
}

// What waits for a page or a connection that ends is told so.
func TestCallsEndWithTheirLink(t *testing.T) {
	for _, c := range []struct {
		name string
		end  func(*script)
		want error
	}{
		{"page", func(s *script) {
			s.send(`{"method":"Target.detachedFromTarget","params":{"sessionId":"S","targetId":"T"}}`)
		}, errDetached},
		{"browser", func(s *script) { _ = s.answers.Close() }, errConnection},
		{"nonsense", func(s *script) { s.send(`{"nonsense":`) }, errConnection},
	} {
		t.Run(c.name, func(t *testing.T) {
			l, _, s := start(t)
			failed := make(chan error, 1)
			go func() { failed <- ask(t.Context(), l, "Page.never", 0) }()
			s.next()
			c.end(s)
			if err := <-failed; !errors.Is(err, c.want) || errors.Is(err, context.Canceled) {
				t.Errorf("the call that waits: %v", err)
			}
			if err := ask(t.Context(), l, "Page.later", 0); !errors.Is(err, c.want) {
				t.Errorf("a later call: %v", err)
			}
		})
	}
}

// Answers come in any order, and the first command's failure counts.
func TestCommandsTogether(t *testing.T) {
	l, _, s := start(t)
	failed := make(chan error, 1)
	go func() {
		failed <- l.conn.run(t.Context(), command{on: l, method: "A.a"}, command{on: l, method: "B.b"}, command{on: l, method: "C.c"})
	}()
	a, b, c := s.next(), s.next(), s.next()
	s.send(`{"id":%d,"error":{"code":1,"message":"third"}}`, c.ID)
	s.send(`{"id":%d,"error":{"code":1,"message":"first"}}`, a.ID)
	s.send(`{"id":%d,"result":{}}`, b.ID)
	if err := <-failed; err == nil || !strings.Contains(err.Error(), "first") {
		t.Errorf("got %v", err)
	}
	l.conn.mu.Lock()
	defer l.conn.mu.Unlock()
	if n := len(l.conn.calls); n > 0 {
		t.Errorf("%d calls are kept", n)
	}
}

// A page that crashes while it is being opened answers nothing any more, and
// nobody waits for it.
func TestPageCrashesWhileItOpens(t *testing.T) {
	for name, crash := range map[string]string{
		"crash": `{"method":"Target.targetCrashed","params":{"targetId":"T","status":"killed","errorCode":9}}`,
		"end":   `{"method":"Inspector.detached","params":{"reason":"Render process gone."},"sessionId":"S"}`,
	} {
		t.Run(name, func(t *testing.T) {
			p, s := scripted(t)
			b := newBrowser(Options{}.withDefaults(), newRemoteHost(), nil)
			defer b.end(ErrPoolClosed)
			ctx, cancel := context.WithTimeout(t.Context(), openTimeout/2)
			defer cancel()
			failed := make(chan error, 1)
			go func() {
				w, _, err := connect(t.Context(), p)
				if err == nil {
					b.wire = w
					err = w.watch(t.Context(), b.crashed, b.popup)
				}
				if err == nil {
					_, err = b.openPage(ctx, true)
				}
				failed <- err
			}()
			s.expect("Browser.getVersion", "{}")
			s.expect("Target.setDiscoverTargets", "{}")
			s.expect("Target.createBrowserContext", `{"browserContextId":"C"}`)
			s.expect("Browser.setDownloadBehavior", "{}")
			s.expect("Target.createTarget", `{"targetId":"T"}`)
			s.expect("Target.attachToTarget", `{"sessionId":"S"}`)
			s.next() // the first of its commands
			s.send("%s", crash)
			if err := <-failed; !errors.Is(err, ErrPageCrashed) || ctx.Err() != nil {
				t.Errorf("got %v, and the wait: %v", err, ctx.Err())
			}
			for s.next().Method != "Target.disposeBrowserContext" {
			}
			b.wire.close()
		})
	}
}

// Full Chromium says of a page that is closed that its process is gone, and then
// detaches it: that is no crash.
func TestClosedPageIsNoCrash(t *testing.T) {
	for name, closed := range map[string]bool{"closed": true, "crashed": false} {
		t.Run(name, func(t *testing.T) {
			p, s := scripted(t)
			c, _ := newConn(p)
			defer c.close()
			crashed := make(chan struct{}, 1)
			w := &wire{conn: c, crashed: func(string, string) { crashed <- struct{}{} }}
			page := &tab{wire: w, target: c.link("S")}
			page.watchProcess()
			s.send(`{"method":"Inspector.detached","params":{"reason":"Render process gone."},"sessionId":"S"}`)
			if closed {
				s.send(`{"method":"Target.detachedFromTarget","params":{"sessionId":"S","targetId":"T"}}`)
			}
			select {
			case <-crashed:
				if closed {
					t.Error("it was called a crash")
				}
			case <-time.After(2 * closing):
				if !closed {
					t.Error("nobody was told of the crash")
				}
			}
		})
	}
}
