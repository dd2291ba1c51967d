package cas

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"

	"github.com/waybill-dev/waybill/pipeline"
)

const (
	envCrashDir  = "WAYBILL_TEST_CAS_DIR"
	envCrashStep = "WAYBILL_TEST_CAS_STEP"
)

// kill -9 between every two steps of a Put: every object that is there is whole, and
// the next Put completes the batch.
func TestKilledBetweenSteps(t *testing.T) {
	batch := make([]pipeline.Blob, 5)
	for i := range batch {
		batch[i] = blob(strings.Repeat(fmt.Sprint(i), 5000))
	}
	if dir := os.Getenv(envCrashDir); dir != "" {
		steps, _ := strconv.Atoi(os.Getenv(envCrashStep))
		l, err := OpenLayout("test", dir, true)
		if err != nil {
			t.Fatal(err)
		}
		l.OnStep(func(string) {
			if steps--; steps == 0 {
				_ = syscall.Kill(os.Getpid(), syscall.SIGKILL)
				select {}
			}
		})
		if _, err := l.Put(t.Context(), batch); err != nil {
			t.Fatal(err)
		}
		return
	}
	exe, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	killed := 0
	for step := 1; ; step++ {
		dir := t.TempDir()
		c := exec.Command(exe, "-test.run=^TestKilledBetweenSteps$")
		c.Env = append(os.Environ(), envCrashDir+"="+dir, envCrashStep+"="+strconv.Itoa(step))
		out, err := c.CombinedOutput()
		checkWhole(t, dir, batch)
		if err == nil {
			break
		}
		var exit *exec.ExitError
		if !errors.As(err, &exit) || exit.Sys().(syscall.WaitStatus).Signal() != syscall.SIGKILL {
			t.Fatalf("step %d: %v %s", step, err, out)
		}
		killed++
	}
	if killed != 3 {
		t.Errorf("killed at %d steps, want 3: temporary, flushed, renamed", killed)
	}
}

func checkWhole(t *testing.T, dir string, batch []pipeline.Blob) {
	t.Helper()
	o := open(t, "file:.", dir, true)
	for _, b := range batch {
		if _, err := o.Get(t.Context(), b.Digest); err != nil && !errors.Is(err, pipeline.ErrNotFound) {
			t.Error(err)
		}
	}
	if _, err := o.Put(t.Context(), batch); err != nil {
		t.Error(err)
	}
	if left, _ := filepath.Glob(filepath.Join(dir, "ingest", "*.tmp")); len(left) > 0 {
		t.Errorf("left behind: %v", left)
	}
}
