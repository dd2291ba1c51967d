package chaostest

import (
	"io"
	"os"
	"os/exec"
	"sync"
	"syscall"
	"testing"
)

// service is a server in a process of its own, which is killed and started again.
type service struct {
	t       *testing.T
	command func() *exec.Cmd

	mu    sync.Mutex
	cmd   *exec.Cmd
	stdin io.Closer
}

// newService starts a server. It ends with its standard input, at the latest
// with the test.
func newService(t *testing.T, command func() *exec.Cmd) *service {
	t.Helper()
	s := &service{t: t, command: command}
	s.start()
	t.Cleanup(s.kill)
	return s
}

func (s *service) start() {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.cmd != nil {
		return
	}
	cmd := s.command()
	cmd.Stderr = os.Stderr
	stdin, err := cmd.StdinPipe()
	if err == nil {
		err = cmd.Start()
	}
	if err != nil {
		s.t.Errorf("start of the engine: %v", err)
		return
	}
	s.cmd, s.stdin = cmd, stdin
}

// kill is kill -9.
func (s *service) kill() {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.cmd == nil {
		return
	}
	_ = s.cmd.Process.Kill()
	_ = s.cmd.Wait() // killed
	_ = s.stdin.Close()
	s.cmd = nil
}

// signal tells the process, if there is one.
func (s *service) signal(sig syscall.Signal) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.cmd != nil {
		_ = s.cmd.Process.Signal(sig)
	}
}
