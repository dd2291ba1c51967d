package witness

import (
	"bufio"
	"fmt"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"

	"github.com/waybill-dev/waybill/pipeline"
)

// The tests below start this test binary again as a child that witnesses items and
// kills itself with SIGKILL after so many steps. What the child has acknowledged on
// its standard output must survive.
const (
	envDir   = "WAYBILL_TEST_WITNESS_DIR"
	envName  = "WAYBILL_TEST_WITNESS_NAME"  // prefix of item ids
	envSteps = "WAYBILL_TEST_WITNESS_STEPS" // steps until it kills itself; 0: never
	envItems = "WAYBILL_TEST_WITNESS_ITEMS"
)

// TestChild is the child; alone it does nothing.
func TestChild(t *testing.T) {
	dir := os.Getenv(envDir)
	if dir == "" {
		return
	}
	steps, _ := strconv.Atoi(os.Getenv(envSteps))
	items, _ := strconv.Atoi(os.Getenv(envItems))
	s := newStage(t, dir, Config{})
	s.step = func(string) {
		if steps--; steps == 0 {
			_ = syscall.Kill(os.Getpid(), syscall.SIGKILL)
			select {}
		}
	}
	if err := s.Start(t.Context()); err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	for done := 0; done < items; {
		batch := make([]*pipeline.Item, min(1+done%7, items-done))
		for i := range batch {
			batch[i] = &pipeline.Item{ID: fmt.Sprintf("%s-%d", os.Getenv(envName), done+i), Attempt: 1, Input: []byte("in")}
		}
		for i, err := range s.ProcessBatch(t.Context(), batch) {
			if err != nil {
				t.Fatal(err)
			}
			fmt.Printf("ack %s %s\n", batch[i].ID, batch[i].Receipt)
		}
		done += len(batch)
	}
}

// child starts the child and returns it with what it acknowledged, as it comes.
func child(t *testing.T, dir, name string, steps, items int) (*exec.Cmd, *bufio.Scanner) {
	t.Helper()
	exe, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	c := exec.Command(exe, "-test.run=^TestChild$")
	c.Env = append(os.Environ(), envDir+"="+dir, envName+"="+name, envSteps+"="+strconv.Itoa(steps), envItems+"="+strconv.Itoa(items))
	c.Stderr = os.Stderr
	out, err := c.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := c.Start(); err != nil {
		t.Fatal(err)
	}
	return c, bufio.NewScanner(out)
}

// acks reads acknowledgements into all until the child ends or has given n.
func acks(out *bufio.Scanner, all map[string]pipeline.Digest, n int) {
	for got := 0; got < n && out.Scan(); {
		if f := strings.Fields(out.Text()); len(f) == 3 && f[0] == "ack" {
			all[f[1]] = pipeline.Digest(f[2])
			got++
		}
	}
}

const noLimit = 1 << 30

// checkSurvivors reopens the log and verifies all of it.
func checkSurvivors(t *testing.T, dir string, acked map[string]pipeline.Digest) {
	t.Helper()
	s := newStage(t, dir, Config{})
	if err := s.Start(t.Context()); err != nil {
		t.Fatal(err)
	}
	s.Close()
	for _, v := range verify(t, pipeline.VerifyRequest{Log: "file:" + filepath.Join(dir, "log")}) {
		if !v.OK {
			t.Fatalf("%s: %s: %s", v.Subject, v.Failed, v.Detail)
		}
	}
	for id, want := range acked {
		_, p, err := readReceipt(filepath.Join(dir, "log", receiptPath("", id)))
		if err != nil {
			t.Fatalf("acknowledged, but lost: %v", err)
		}
		if got := pipeline.DigestOf(p.Extra); got != want {
			t.Fatalf("%s was acknowledged as %s, its receipt is %s", id, want, got)
		}
	}
	if left, _ := filepath.Glob(filepath.Join(dir, "log", ".state", "*.tmp")); len(left) > 0 {
		t.Fatalf("temporary files left: %v", left)
	}
}

// kill -9 between every two steps, of Start as of a batch, on one growing log.
func TestKilledBetweenSteps(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	acked := map[string]pipeline.Digest{}
	killed := 0
	for steps := 1; ; steps++ {
		c, out := child(t, dir, fmt.Sprintf("s%d", steps), steps, 1)
		acks(out, acked, noLimit)
		err := c.Wait()
		checkSurvivors(t, dir, acked)
		if err == nil {
			break
		}
		if killed++; c.ProcessState.Sys().(syscall.WaitStatus).Signal() != syscall.SIGKILL {
			t.Fatalf("step %d: %v", steps, err)
		}
	}
	if killed < 15 {
		t.Errorf("only %d steps", killed)
	}
}

// kill -9 at random moments, while the log grows past a tile.
func TestKilledAtRandom(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	acked := map[string]pipeline.Digest{}
	for i := range 5 {
		c, out := child(t, dir, fmt.Sprintf("r%d", i), 0, noLimit)
		acks(out, acked, 1+rand.IntN(60))
		if err := c.Process.Kill(); err != nil {
			t.Fatal(err)
		}
		acks(out, acked, noLimit) // what was in the pipe
		_ = c.Wait()
	}
	checkSurvivors(t, dir, acked)
	t.Logf("%d items acknowledged", len(acked))
}

// A log that is written to while it is verified is not called damaged.
func TestVerifyWhileWriting(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	first := newStage(t, dir, Config{})
	if err := first.Start(t.Context()); err != nil {
		t.Fatal(err)
	}
	first.Close()
	c, out := child(t, dir, "w", 0, noLimit)
	acked := map[string]pipeline.Digest{}
	for rounds := 0; rounds < 4; rounds++ {
		acks(out, acked, 20)
		for _, v := range verify(t, pipeline.VerifyRequest{Log: "file:" + filepath.Join(dir, "log")}) {
			if !v.OK {
				t.Errorf("round %d: %s: %s: %s", rounds, v.Subject, v.Failed, v.Detail)
			}
		}
	}
	if err := c.Process.Kill(); err != nil {
		t.Fatal(err)
	}
	acks(out, acked, noLimit)
	_ = c.Wait()
}

// Several processes append to one log.
func TestSharedLog(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	acked := map[string]pipeline.Digest{}
	var children []*exec.Cmd
	var outs []*bufio.Scanner
	for _, name := range []string{"x", "y", "z"} {
		c, out := child(t, dir, name, 0, 60)
		children, outs = append(children, c), append(outs, out)
	}
	for i, c := range children {
		acks(outs[i], acked, noLimit)
		if err := c.Wait(); err != nil {
			t.Error(err)
		}
	}
	if len(acked) != 180 {
		t.Errorf("%d of 180 items acknowledged", len(acked))
	}
	checkSurvivors(t, dir, acked)
}
