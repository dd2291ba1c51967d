package cdp

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"runtime"
	"strings"
	"sync"
	"syscall"
	"time"
)

// chrome is a running browser process: the leader of a group that holds its
// whole tree. The debugging pipe is its descriptors 3 (commands) and 4
// (answers).
type chrome struct {
	cmd    *exec.Cmd
	output *tail
	in     *os.File // we write commands
	out    *os.File // we read answers and events
	done   chan struct{}
	err    error // how it ended; valid after done is closed

	mu     sync.Mutex
	reaped bool
}

// startChrome launches the browser on a profile, with more flags.
func startChrome(o Options, p *profile, uid int, more ...string) (*chrome, error) {
	c := &chrome{output: &tail{}, done: make(chan struct{})}
	files, err := c.pipes()
	if err != nil {
		return nil, err
	}
	cmd := exec.Command(o.Binary.Path, append(append(o.flags(), more...), "--user-data-dir="+p.dir)...)
	// Chrome gets nothing of our environment: it may hold secrets.
	cmd.Env = []string{"HOME=" + p.dir, "TMPDIR=" + p.temp(), "XDG_RUNTIME_DIR=" + p.temp(), profileEnv + "=" + p.dir,
		"PATH=/usr/local/bin:/usr/bin:/bin", "LANG=C.UTF-8"}
	cmd.Dir = p.dir
	cmd.ExtraFiles = []*os.File{files.commands, files.answers}
	cmd.Stdout, cmd.Stderr = files.output, files.output
	cmd.SysProcAttr = sysProcAttr()
	if uid >= 0 {
		cmd.SysProcAttr.Credential = &syscall.Credential{Uid: uint32(uid), Gid: uint32(uid), Groups: []uint32{}}
	}
	c.cmd = cmd
	err = c.start(files.drain)
	files.closeChild()
	if err != nil {
		return nil, errors.Join(fmt.Errorf("start %s: %w", o.Binary.Path, err), c.in.Close(), c.out.Close(), files.drain.Close())
	}
	return c, nil
}

// start starts the process and waits for it on one locked thread: the kernel
// kills Chrome when the thread that started it ends.
func (c *chrome) start(drain *os.File) error {
	started := make(chan error)
	go func() {
		runtime.LockOSThread()
		defer runtime.UnlockOSThread()
		err := c.cmd.Start()
		started <- err
		if err != nil {
			return
		}
		drained := make(chan struct{})
		go func() { defer close(drained); c.output.drain(drain) }()
		c.reap()
		_ = drain.SetReadDeadline(time.Now().Add(time.Second))
		<-drained
		_ = drain.Close()
		close(c.done)
	}()
	return <-started
}

// kill ends the whole group at once. Once the leader is reaped its number may
// belong to somebody else, and there is nothing left to kill.
func (c *chrome) kill() {
	c.mu.Lock()
	defer c.mu.Unlock()
	if !c.reaped {
		_ = syscall.Kill(-c.cmd.Process.Pid, syscall.SIGKILL)
	}
}

func (c *chrome) exited() <-chan struct{} { return c.done }
func (c *chrome) said(n int) string       { return c.output.last(n) }
func (c *chrome) pid() int                { return c.cmd.Process.Pid }

// release closes the pipe.
func (c *chrome) release() {
	_ = c.in.Close()
	_ = c.out.Close()
}

// ended says how the process ended, for people.
func (c *chrome) ended() string {
	if c.err != nil {
		return c.err.Error()
	}
	return "exit status 0"
}

// childFiles are the ends that Chrome holds, and the one that we drain.
type childFiles struct {
	commands, answers, output *os.File
	drain                     *os.File
}

func (f *childFiles) closeChild() {
	for _, x := range []*os.File{f.commands, f.answers, f.output} {
		_ = x.Close()
	}
}

func (c *chrome) pipes() (f *childFiles, err error) {
	f = &childFiles{}
	var open []*os.File
	for _, p := range []struct{ r, w **os.File }{{&f.commands, &c.in}, {&c.out, &f.answers}, {&f.drain, &f.output}} {
		if *p.r, *p.w, err = os.Pipe(); err != nil {
			for _, x := range open {
				_ = x.Close()
			}
			return nil, fmt.Errorf("pipes for the browser: %w", err)
		}
		open = append(open, *p.r, *p.w)
	}
	return f, nil
}

// tail keeps the last bytes of what the browser prints. Somebody must read
// them: a browser that cannot print stops working.
type tail struct {
	mu  sync.Mutex
	buf []byte
}

const tailSize = 4 << 10

func (t *tail) drain(r *os.File) {
	chunk := make([]byte, 32<<10)
	for {
		n, err := r.Read(chunk)
		t.mu.Lock()
		t.buf = append(t.buf, chunk[:n]...)
		if over := len(t.buf) - tailSize; over > 0 {
			t.buf = append(t.buf[:0], t.buf[over:]...)
		}
		t.mu.Unlock()
		if err != nil {
			return
		}
	}
}

// last returns at most n of the last lines, joined by " | ".
func (t *tail) last(n int) string {
	t.mu.Lock()
	defer t.mu.Unlock()
	lines := strings.Split(strings.TrimSpace(string(t.buf)), "\n")
	return strings.Join(lines[max(0, len(lines)-n):], " | ")
}
