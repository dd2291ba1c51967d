package plugins

import (
	"bytes"
	"context"
	"errors"
	"log/slog"
	"os"
	"path/filepath"
	"runtime"
	"runtime/debug"
	"strconv"
	"strings"
	"testing"

	"github.com/waybill-dev/waybill/pipeline"
	"github.com/waybill-dev/waybill/plugins/internal/compiler"
	"github.com/waybill-dev/waybill/plugins/internal/host"
	"github.com/waybill-dev/waybill/plugins/internal/hostile"
)

// How much larger the process may be after all hostile guests, and at any time
// between. Some of them ask for 4 GiB, and all together for far more. The race
// detector keeps shadows of all memory that there ever was.
const (
	maxGrowth = 64<<20 + raceShadow
	maxPeak   = 1<<30 + raceShadow
)

// TestHostileGuests runs every guest of docs/hostile.md through the stage: it
// ends in its code, others do not notice, and the process does not grow.
func TestHostileGuests(t *testing.T) {
	env := pipeline.Env{CacheDir: t.TempDir(), Concurrency: 2, Log: slog.New(slog.DiscardHandler)}
	peaceful := hostileStage(t, "peaceful", guest(t, "scribbling"), env)
	if err := peaceful.Start(t.Context()); err != nil {
		t.Fatal(err)
	}
	before, _ := resident(t)
	t.Run("guest", func(t *testing.T) {
		for _, g := range hostile.All() {
			t.Run(g.Name, func(t *testing.T) {
				t.Parallel()
				s := hostileStage(t, g.Name, g, env)
				switch g.At {
				case hostile.AtItem:
					attack(t, s, g)
				case hostile.AtStart:
					if found := s.config.problems(t.Context(), place{}); len(found) > 0 {
						t.Fatalf("refused at check: %+v", found)
					}
					ends(t, g, s.Start(t.Context()))
					peace(t, peaceful)
				default:
					checked(t, s, g)
					peace(t, peaceful)
				}
			})
		}
	})
	after, peak := resident(t)
	t.Logf("memory of the process: %d MiB before, %d after, %d at most", before>>20, after>>20, peak>>20)
	if after-before > maxGrowth || peak-before > maxPeak {
		t.Errorf("the process grew by %d MiB, and by %d at most", (after-before)>>20, (peak-before)>>20)
	}
}

func guest(t *testing.T, name string) hostile.Guest {
	t.Helper()
	for _, g := range hostile.All() {
		if g.Name == name {
			return g
		}
	}
	t.Fatalf("no guest %q", name)
	return hostile.Guest{}
}

// hostileStage makes a stage that closes with the test.
func hostileStage(t *testing.T, name string, g hostile.Guest, env pipeline.Env) *stage {
	t.Helper()
	l := hostile.Defaults()
	if g.Limits != nil {
		g.Limits(&l)
	}
	c := Defaults()
	c.Use = file(t, strings.ReplaceAll(name, " ", "-")+".wasm", g.WASM())
	c.Limits = Limits{Memory: pipeline.Bytes(l.Memory), Timeout: pipeline.Duration(l.Timeout), Output: pipeline.Bytes(l.Output),
		Log: pipeline.Bytes(l.Log), Fuel: pipeline.Count(l.Fuel)}
	s, err := New(t.Context(), c, env)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := s.(pipeline.Closer).Close(); err != nil {
			t.Error(err)
		}
	})
	return s.(*stage)
}

// ends compares how a guest ended with how it has to.
func ends(t *testing.T, g hostile.Guest, err error) {
	t.Helper()
	if g.Code == "" && err == nil {
		return
	}
	if pipeline.CodeOf(err) != g.Code || !strings.Contains(err.Error(), g.Says) {
		t.Errorf("got %q %v, want %q with %q", pipeline.CodeOf(err), err, g.Code, g.Says)
	}
	var f *Failure
	if errors.As(err, &f) && len(f.Stderr)+len(f.Message) > 8<<10 {
		t.Errorf("%d bytes of stderr, %d of a message", len(f.Stderr), len(f.Message))
	}
}

// checked: check names the problem, and starting anyway ends the same way.
func checked(t *testing.T, s *stage, g hostile.Guest) {
	t.Helper()
	codes := map[string]bool{}
	for _, p := range s.config.problems(t.Context(), place{}) {
		codes[p.code] = true
	}
	if !codes[g.Code] {
		t.Errorf("check finds %v, want %s", codes, g.Code)
	}
	ends(t, g, s.Start(t.Context()))
}

// attack gives the guest its items, and a peaceful one before and after.
func attack(t *testing.T, s *stage, g hostile.Guest) {
	t.Helper()
	if err := s.Start(t.Context()); err != nil {
		t.Fatal(err)
	}
	peace(t, s)
	for range max(1, g.Times) {
		it := &pipeline.Item{ID: "hostile", Body: pipeline.RawBody(hostile.Attack(), "")}
		if g.Budget > 0 {
			it.Budget = pipeline.NewBudget(g.Budget, 0)
		}
		ends(t, g, s.Process(t.Context(), it))
		if b, err := it.Body.Bytes(); err != nil || !bytes.Equal(b, hostile.Attack()) {
			t.Errorf("the item became %q, %v", b, err)
		}
	}
	peace(t, s)
}

// peace sees that a well-behaved item passes.
func peace(t *testing.T, s *stage) {
	t.Helper()
	it := &pipeline.Item{ID: "peaceful", Body: pipeline.RawBody(hostile.Peace(), "")}
	if err := s.Process(context.Background(), it); err != nil {
		t.Errorf("a well-behaved item: %v", err)
		return
	}
	if b, err := it.Body.Bytes(); err != nil || !bytes.Equal(b, hostile.Peace()) {
		t.Errorf("a well-behaved item became %d bytes, %v", len(b), err)
	}
}

// resident is what the process has in memory, and the most that it ever had, in
// bytes: from proc(5), or what Go has from the system where there is no such file.
func resident(t *testing.T) (now, peak int64) {
	t.Helper()
	debug.FreeOSMemory()
	text, err := os.ReadFile("/proc/self/status")
	if err != nil {
		var m runtime.MemStats
		runtime.ReadMemStats(&m)
		return int64(m.Sys - m.HeapReleased), int64(m.Sys)
	}
	for line := range strings.Lines(string(text)) {
		name, value, _ := strings.Cut(line, ":")
		var kB int64
		if name == "VmRSS" || name == "VmHWM" {
			if kB, err = strconv.ParseInt(strings.TrimSuffix(strings.TrimSpace(value), " kB"), 10, 64); err != nil {
				t.Fatal(err)
			}
		}
		switch name {
		case "VmRSS":
			now = kB << 10
		case "VmHWM":
			peak = kB << 10
		}
	}
	return now, peak
}

// TestCompilerHasADeadline: a module that takes too long to compile is the
// module's failure, and nothing of it stays. The deadline has passed when the
// compiler starts.
func TestCompilerHasADeadline(t *testing.T) {
	wasm, dir := guest(t, "scribbling").WASM(), filepath.Join(t.TempDir(), "cache")
	l := hostile.Defaults()
	_, err := host.New(t.Context(), host.Options{Name: "slow", Digest: pipeline.DigestOf(wasm), WASM: wasm, CacheDir: dir,
		Config: []byte("{}"), Log: slog.New(slog.DiscardHandler), Compile: compiler.Limits{Time: 1, Memory: 1 << 30},
		Limits: host.Limits{Memory: uint64(l.Memory), Timeout: l.Timeout, Output: uint64(l.Output)}})
	var f *Failure
	if !errors.As(err, &f) || f.Code != host.CodeBad || f.Kernel != "slow" || !strings.Contains(f.Cause, "does not compile within 1ns and 1GiB of memory: ran out of time") {
		t.Errorf("got %v", err)
	}
	if left, err := os.ReadDir(dir); err != nil || len(left) > 0 {
		t.Errorf("left behind: %v, %v", left, err)
	}
}
