package main

import (
	"bufio"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"sync"
	"syscall"

	"github.com/waybill-dev/waybill/cdp"
)

// rawFlags are those that matter for the cost of a page; the peers get them too.
var rawFlags = []string{"--headless", "--no-sandbox", "--disable-gpu", "--hide-scrollbars", "--mute-audio", "--no-first-run",
	"--disable-dev-shm-usage", "--disable-background-networking", "--disable-extensions", "--force-color-profile=srgb"}

// raw are the modes of a client that does nothing but send commands: the floor.
func raw(bin cdp.Binary) []mode {
	return []mode{
		{name: floorBrowser, kind: "browser", jobs: func(url string, n int) (cost, error) {
			m := startMeter()
			err := each(n, 1, func() error {
				c, err := startRaw(bin.Path)
				if err != nil {
					return err
				}
				defer c.stop()
				t, err := c.open("")
				if err == nil {
					err = t.job(url)
				}
				m.ended += chromeCPU()
				return err
			})
			return m.stop(n), err
		}},
		{name: floorContext, kind: "context", jobs: rawContexts(bin, 1)},
		{name: "raw protocol client, new context, 4 at a time", kind: "context", jobs: rawContexts(bin, 4)},
		{name: floorPage, kind: "page", jobs: func(url string, n int) (cost, error) {
			c, err := startRaw(bin.Path)
			if err != nil {
				return cost{}, err
			}
			defer c.stop()
			t, err := c.open("")
			if err == nil {
				err = t.job(url)
			}
			if err != nil {
				return cost{}, err
			}
			m := startMeter()
			err = each(n, 1, func() error { return t.job(url) })
			return m.stop(n), err
		}},
	}
}

func rawContexts(bin cdp.Binary, k int) func(string, int) (cost, error) {
	return func(url string, n int) (cost, error) {
		c, err := startRaw(bin.Path)
		if err != nil {
			return cost{}, err
		}
		defer c.stop()
		one := func() error {
			var made struct{ BrowserContextID string }
			if err := c.call("", "Target.createBrowserContext", nil, &made); err != nil {
				return err
			}
			t, err := c.open(made.BrowserContextID)
			if err == nil {
				err = t.job(url)
			}
			return errors.Join(err, c.call("", "Target.disposeBrowserContext", map[string]any{"browserContextId": made.BrowserContextID}, nil))
		}
		if err := one(); err != nil {
			return cost{}, err
		}
		m := startMeter()
		err = each(n, k, one)
		return m.stop(n), err
	}
}

// rawClient speaks the protocol over a pipe.
type rawClient struct {
	cmd     *exec.Cmd
	dir     string
	in, out *os.File

	mu      sync.Mutex
	next    int
	pending map[int]chan message
	loaded  map[string]chan struct{} // by session
}

type message struct {
	ID        int             `json:"id,omitempty"`
	SessionID string          `json:"sessionId,omitempty"`
	Method    string          `json:"method,omitempty"`
	Params    any             `json:"params,omitempty"`
	Result    json.RawMessage `json:"result,omitempty"`
	Error     *struct {
		Message string `json:"message"`
	} `json:"error,omitempty"`
}

func startRaw(path string) (*rawClient, error) {
	c := &rawClient{pending: map[int]chan message{}, loaded: map[string]chan struct{}{}}
	var err error
	if c.dir, err = os.MkdirTemp("", "waybill-bench-raw-"); err != nil {
		return nil, err
	}
	commands, in, err1 := os.Pipe()
	out, answers, err2 := os.Pipe()
	if err := errors.Join(err1, err2); err != nil {
		return nil, err
	}
	c.in, c.out = in, out
	c.cmd = exec.Command(path, append(rawFlags, "--remote-debugging-pipe", "--user-data-dir="+filepath.Join(c.dir, "profile"))...)
	c.cmd.ExtraFiles = []*os.File{commands, answers}
	c.cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	err = c.cmd.Start()
	_, _ = commands.Close(), answers.Close()
	if err != nil {
		return nil, err
	}
	go c.read()
	return c, nil
}

func (c *rawClient) stop() {
	_ = syscall.Kill(-c.cmd.Process.Pid, syscall.SIGKILL)
	_ = c.cmd.Wait()
	_, _ = c.in.Close(), c.out.Close()
	_ = os.RemoveAll(c.dir)
}

// read hands answers to those who wait for them.
func (c *rawClient) read() {
	r := bufio.NewReaderSize(c.out, 64<<10)
	for {
		text, err := r.ReadBytes(0)
		if err != nil {
			c.mu.Lock()
			defer c.mu.Unlock()
			for _, ch := range c.pending {
				close(ch)
			}
			return
		}
		var m message
		if json.Unmarshal(text[:len(text)-1], &m) != nil {
			continue
		}
		c.mu.Lock()
		if ch := c.pending[m.ID]; m.ID != 0 && ch != nil {
			delete(c.pending, m.ID)
			ch <- m
		} else if ch := c.loaded[m.SessionID]; m.Method == "Page.loadEventFired" && ch != nil {
			select {
			case ch <- struct{}{}:
			default:
			}
		}
		c.mu.Unlock()
	}
}

func (c *rawClient) call(session, method string, params, result any) error {
	ch := make(chan message, 1)
	c.mu.Lock()
	c.next++
	id := c.next
	c.pending[id] = ch
	text, err := json.Marshal(message{ID: id, SessionID: session, Method: method, Params: params})
	if err == nil {
		_, err = c.in.Write(append(text, 0))
	}
	c.mu.Unlock()
	if err != nil {
		return err
	}
	m, ok := <-ch
	switch {
	case !ok:
		return fmt.Errorf("%s: the browser is gone", method)
	case m.Error != nil:
		return fmt.Errorf("%s: %s", method, m.Error.Message)
	case result == nil:
		return nil
	}
	return json.Unmarshal(m.Result, result)
}

// rawTab is a page.
type rawTab struct {
	c       *rawClient
	session string
	loaded  chan struct{}
}

func (c *rawClient) open(context string) (*rawTab, error) {
	var made struct{ TargetID string }
	params := map[string]any{"url": "about:blank"}
	if context != "" {
		params["browserContextId"] = context
	}
	if err := c.call("", "Target.createTarget", params, &made); err != nil {
		return nil, err
	}
	var at struct{ SessionID string }
	if err := c.call("", "Target.attachToTarget", map[string]any{"targetId": made.TargetID, "flatten": true}, &at); err != nil {
		return nil, err
	}
	t := &rawTab{c, at.SessionID, make(chan struct{}, 1)}
	c.mu.Lock()
	c.loaded[t.session] = t.loaded
	c.mu.Unlock()
	err := c.call(t.session, "Page.enable", nil, nil)
	if err == nil {
		err = c.call(t.session, "Emulation.setDeviceMetricsOverride", map[string]any{"width": 1280, "height": 800, "deviceScaleFactor": 1, "mobile": false}, nil)
	}
	return t, err
}

func (t *rawTab) job(url string) error {
	select {
	case <-t.loaded: // of an earlier page
	default:
	}
	if err := t.c.call(t.session, "Page.navigate", map[string]any{"url": url}, nil); err != nil {
		return err
	}
	<-t.loaded
	var value struct {
		Result struct{ Value json.RawMessage }
	}
	if err := t.c.call(t.session, "Runtime.evaluate", map[string]any{"expression": extract, "returnByValue": true}, &value); err != nil {
		return err
	}
	var shot struct{ Data []byte }
	if err := t.c.call(t.session, "Page.captureScreenshot", map[string]any{"format": "jpeg", "quality": quality, "optimizeForSpeed": true}, &shot); err != nil {
		return err
	}
	return checked(value.Result.Value, shot.Data)
}
