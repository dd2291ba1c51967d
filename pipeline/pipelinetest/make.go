package pipelinetest

import (
	"io"
	"log/slog"
	"os"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/waybill-dev/waybill/pipeline"
)

// Item returns a claimed item, in its first attempt, with this body (see
// pipeline.JSONBody for its types). Its Input is set as a queue sets it.
func Item(body any) *pipeline.Item {
	it := &pipeline.Item{
		ID: "item-1", Queue: "test", Attempt: 1, Token: 1,
		Enqueued: time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC),
		Body:     pipeline.JSONBody(body), Meta: map[string]string{},
	}
	it.Input, _ = it.Body.Bytes()
	return it
}

// Items returns n items with the bodies {"n": 0}, {"n": 1} and so on, named
// item-0, item-1, ...
func Items(n int) []*pipeline.Item {
	out := make([]*pipeline.Item, n)
	for i := range out {
		out[i] = Item(map[string]any{"n": i})
		out[i].ID = "item-" + strconv.Itoa(i)
	}
	return out
}

// Env returns an environment in temporary folders; its log goes to t, its
// standard output nowhere.
func Env(t testing.TB) pipeline.Env {
	source := []byte(`{"name":"test","stages":[],"waybill":"v1"}`)
	return pipeline.Env{
		Log: slog.New(slog.NewTextHandler(t.Output(), &slog.HandlerOptions{Level: slog.LevelDebug})),
		Dir: t.TempDir(), CacheDir: t.TempDir(), RuntimeDir: runtimeDir(t),
		Run:   pipeline.RunInfo{ID: "run-1", Pipeline: "test", Source: source, Digest: pipeline.DigestOf(source), Version: "test", MaxAttempts: 3},
		Stage: "test", Kind: "test", Concurrency: 8,
		Stdout: io.Discard,
	}
}

// runtimeDir makes a folder that other users can pass, as those do for whom the
// stage starts processes, and that is gone after the test.
func runtimeDir(t testing.TB) string {
	t.Helper()
	dir, err := os.MkdirTemp("", "waybill-test-")
	if err == nil {
		err = os.Chmod(dir, 0o711)
	}
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := os.RemoveAll(dir); err != nil {
			t.Error(err)
		}
	})
	return dir
}

// Load loads a pipeline whose stages are those of the given text, one YAML list
// in block style, and fails the test if there is any problem.
func Load(t testing.TB, set *pipeline.Set, stages string) *pipeline.Plan {
	t.Helper()
	plan, problems := pipeline.Load(t.TempDir()+"/test.yaml", []byte("waybill: v1\nname: test\nstages:\n"+indent(stages, 2)), set)
	if len(problems) > 0 {
		t.Fatalf("the pipeline has problems:\n%v", problems)
	}
	return plan
}

func indent(text string, by int) string {
	var b strings.Builder
	for line := range strings.Lines(strings.Trim(text, "\n") + "\n") {
		b.WriteString(strings.Repeat(" ", by) + line)
	}
	return b.String()
}
