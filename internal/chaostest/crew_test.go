package chaostest

import (
	"bytes"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"sync"
	"syscall"
	"testing"
	"time"
)

// crew is some processes of `waybill run`, each in a slot where it is started
// again whenever it ends.
type crew struct {
	t     *testing.T
	dir   string
	slots []*slot
	ended sync.WaitGroup

	mu       sync.Mutex
	stopping bool
	exits    map[int]int // by code, of those that nobody killed
}

// slot is the place of one process.
type slot struct {
	number int
	file   string // the pipeline

	mu   sync.Mutex
	proc *os.Process
	life int
}

// pipelineOf is what every process of the crew runs. The body that the ledger
// sees is the one whose digest the queue gets with the acknowledgement.
const pipelineOf = `waybill: v1
name: chaos
run: { concurrency: %d, drain: 5s, retry: { attempts: 1000, backoff: 50ms..500ms } }
stages:
  - claim: { from: %q, queue: %q, lease: %s }
  - transform: { body: { id: "${{ item.id }}", key: "${{ item.key }}", token: "${{ item.token }}", attempt: "${{ item.attempt }}", life: "${env:CHAOS_LIFE}" } }
  - send: { to: %q, what: body }
  - store: { to: file:objects, what: [body] }
`

func newCrew(t *testing.T, dir string) *crew {
	c := &crew{t: t, dir: dir, exits: map[int]int{}}
	t.Cleanup(c.dismiss)
	return c
}

// hire starts a process in a slot of its own.
func (c *crew) hire(s *slot, pipeline string) {
	c.t.Helper()
	s.file = filepath.Join(c.dir, fmt.Sprintf("pipeline-%d.yaml", s.number))
	if err := os.WriteFile(s.file, []byte(pipeline), 0o600); err != nil {
		c.t.Fatal(err)
	}
	c.slots = append(c.slots, s)
	c.ended.Go(func() { c.keep(s) })
}

// keep starts the slot's process again and again.
func (c *crew) keep(s *slot) {
	for {
		cmd, err := c.start(s)
		if err != nil {
			c.t.Errorf("start: %v", err)
			return
		}
		if cmd == nil {
			return
		}
		_ = cmd.Wait() // most are killed
		if code := cmd.ProcessState.ExitCode(); code >= 0 {
			c.mu.Lock()
			c.exits[code]++
			c.mu.Unlock()
			time.Sleep(100 * time.Millisecond) // as a service manager would
		}
	}
}

// start returns nil when the crew is to stop.
func (c *crew) start(s *slot) (*exec.Cmd, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.stopping {
		return nil, nil
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.life++
	life := fmt.Sprintf("%d-%d", s.number, s.life)
	log, err := os.OpenFile(s.log(c.dir), os.O_CREATE|os.O_WRONLY|os.O_APPEND, 0o600)
	if err != nil {
		return nil, err
	}
	defer log.Close()
	cmd := exec.Command(program, "run", s.file, "--quiet")
	cmd.Dir, cmd.Stdout, cmd.Stderr = c.dir, log, log
	cmd.Env = append(os.Environ(), "CHAOS_LIFE="+life, "WAYBILL_CACHE="+c.dir+"/.cache", "WAYBILL_RUNTIME_DIR="+c.dir+"/.runtime")
	cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL} // should the tests be killed
	if err := cmd.Start(); err != nil {
		return nil, err
	}
	s.proc = cmd.Process
	return cmd, nil
}

func (s *slot) log(dir string) string {
	return filepath.Join(dir, fmt.Sprintf("worker-%d.log", s.number))
}

// signal tells the slot's process of now; one that has just ended is as good.
func (s *slot) signal(sig syscall.Signal) *os.Process {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.proc != nil {
		_ = s.proc.Signal(sig)
	}
	return s.proc
}

// dismiss ends all processes as an operator would, and waits. A second call does
// nothing.
func (c *crew) dismiss() {
	c.mu.Lock()
	c.stopping = true
	c.mu.Unlock()
	for _, s := range c.slots {
		s.signal(syscall.SIGCONT)
		s.signal(syscall.SIGTERM)
	}
	gone := make(chan struct{})
	go func() { c.ended.Wait(); close(gone) }()
	select {
	case <-gone:
	case <-time.After(time.Minute):
		c.t.Error("crash: a process survived SIGTERM for a minute")
		for _, s := range c.slots {
			s.signal(syscall.SIGKILL)
		}
		<-gone
	}
}

// crashed lists processes that ended by a bug. The exit code does not tell: it is
// that of an engine that did not answer, too.
func (c *crew) crashed() (out []string) {
	for _, s := range c.slots {
		text, err := os.ReadFile(s.log(c.dir))
		if err != nil {
			out = append(out, fmt.Sprintf("crash: no log: %v", err))
		}
		for _, mark := range []string{"panic: ", "fatal error: "} {
			if _, after, found := bytes.Cut(text, []byte("\n"+mark)); found {
				out = append(out, "crash: "+mark+string(after[:min(len(after), 2000)]))
			}
		}
	}
	return out
}

// said counts the lines of the crew's logs with this text.
func (c *crew) said(text string) (n int) {
	for _, s := range c.slots {
		log, err := os.ReadFile(s.log(c.dir))
		if err != nil {
			c.t.Error(err)
		}
		n += bytes.Count(log, []byte(text))
	}
	return n
}
