package main

import (
	"bufio"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
)

// mongo is the MongoDB server of the tests, a process of its own.
type mongo struct {
	url string
	pid int
	end func()
}

// startMongo builds and starts it.
func (w *workshop) startMongo() (*mongo, error) {
	bin := filepath.Join(w.dir, "wiretest")
	build := exec.Command("go", "build", "-o", bin, ".")
	build.Dir, build.Stderr = filepath.Join("stages", "claim", "mongodb", "wiretest"), os.Stderr
	if err := build.Run(); err != nil {
		return nil, fmt.Errorf("building wiretest: %w", err)
	}
	cmd := exec.Command(bin)
	cmd.Stderr = os.Stderr
	stdin, err := cmd.StdinPipe()
	if err != nil {
		return nil, err
	}
	stdout, err := cmd.StdoutPipe()
	if err == nil {
		err = cmd.Start()
	}
	if err != nil {
		return nil, err
	}
	m := &mongo{pid: cmd.Process.Pid, end: func() {
		_ = stdin.Close() // it ends with that
		_ = cmd.Wait()
	}}
	port, err := bufio.NewReader(stdout).ReadString('\n')
	if err != nil {
		m.end()
		return nil, fmt.Errorf("wiretest does not start: %w", err)
	}
	m.url = "mongodb://127.0.0.1:" + strings.TrimSpace(port) + "/bench"
	return m, nil
}

// env tells the driver's benchmarks where the server is, and whose processor time
// counts beside their own.
func (m *mongo) env() []string {
	return []string{"WAYBILL_TEST_MONGODB=" + m.url, fmt.Sprintf("WAYBILL_BENCH_SERVER=%d", m.pid)}
}
