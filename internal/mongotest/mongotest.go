// Package mongotest starts the MongoDB wire server of stages/claim/mongodb/wiretest
// for tests. It is a program of a module of its own, so it is built when the first
// test asks for it.
//
//	var servers mongotest.Servers
//
//	func TestMain(m *testing.M) {
//		code := m.Run()
//		servers.Close()
//		os.Exit(code)
//	}
package mongotest

import (
	"bufio"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"
)

// Servers are those of one test binary. The zero value is ready.
type Servers struct {
	mu     sync.Mutex
	dir    string // of the program
	shared string // address of the server that all tests use
	end    func()
}

// Serve starts a server and returns its address, host:port. It ends with the test,
// or with this process; args are those of wiretest.
func (s *Servers) Serve(t testing.TB, args ...string) string {
	t.Helper()
	addr, end, err := s.Start(args...)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(end)
	return addr
}

// Shared returns the address of one server for all tests that need nothing special
// of it. It ends with Close, or with this process.
func (s *Servers) Shared(t testing.TB) string {
	t.Helper()
	s.mu.Lock()
	addr := s.shared
	s.mu.Unlock()
	if addr != "" {
		return addr
	}
	addr, end, err := s.Start()
	if err != nil {
		t.Fatal(err)
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.shared != "" { // another test was faster
		end()
		return s.shared
	}
	s.shared, s.end = addr, end
	return addr
}

// Close ends the shared server and deletes the program.
func (s *Servers) Close() {
	if s.end != nil {
		s.end()
	}
	if s.dir != "" {
		_ = os.RemoveAll(s.dir)
	}
}

// program builds wiretest once.
func (s *Servers) program() (string, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.dir != "" {
		return filepath.Join(s.dir, "wiretest"), nil
	}
	gomod, err := exec.Command("go", "env", "GOMOD").Output()
	if err != nil {
		return "", err
	}
	dir, err := os.MkdirTemp("", "wiretest-")
	if err != nil {
		return "", err
	}
	path := filepath.Join(dir, "wiretest")
	build := exec.Command("go", "build", "-o", path, ".")
	build.Dir = filepath.Join(filepath.Dir(strings.TrimSpace(string(gomod))), "stages/claim/mongodb/wiretest")
	if out, err := build.CombinedOutput(); err != nil {
		_ = os.RemoveAll(dir)
		return "", fmt.Errorf("building wiretest: %w\n%s", err, out)
	}
	s.dir = dir
	return path, nil
}

// Start is Serve for callers that end the server themselves.
func (s *Servers) Start(args ...string) (addr string, end func(), err error) {
	path, err := s.program()
	if err != nil {
		return "", nil, err
	}
	cmd := exec.Command(path, args...)
	cmd.Stderr = os.Stderr
	stdin, err := cmd.StdinPipe()
	if err != nil {
		return "", nil, err
	}
	stdout, err := cmd.StdoutPipe()
	if err == nil {
		err = cmd.Start()
	}
	if err != nil {
		return "", nil, err
	}
	end = func() {
		_ = stdin.Close() // it ends with that
		_ = cmd.Wait()
	}
	port, err := bufio.NewReader(stdout).ReadString('\n')
	if err != nil {
		end()
		return "", nil, fmt.Errorf("wiretest does not start: %w", err)
	}
	return "127.0.0.1:" + strings.TrimSpace(port), end, nil
}
