package plugins

import (
	"errors"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/waybill-dev/waybill/pipeline"
)

// extismPlugin is the path of a plug-in inside Extism's Go module; hello.wasm
// and fail.wasm have 1.5 KB.
func extismPlugin(t *testing.T, name string) string {
	t.Helper()
	out, err := exec.Command("go", "list", "-m", "-f", "{{.Dir}}", "github.com/extism/go-sdk").Output()
	if err != nil {
		t.Fatal(err)
	}
	return filepath.Join(strings.TrimSpace(string(out)), "wasm", name)
}

func TestExtismStage(t *testing.T) {
	c := Defaults()
	c.Use = extismPlugin(t, "hello.wasm")
	s := start(t, c)
	it := item("input")
	if err := s.Process(t.Context(), it); err != nil {
		t.Fatal(err)
	}
	if got := text(t, it.Body); got != "Hello, world!" {
		t.Errorf("got %q", got)
	}
	if d := it.Dependencies[0]; d.Annotations["dialect"] != "extism" {
		t.Errorf("%+v", d)
	}

	c.Use = extismPlugin(t, "fail.wasm")
	err := start(t, c).Process(t.Context(), item("input"))
	var failure *Failure
	if pipeline.CodeOf(err) != "kernel-error" || !errors.As(err, &failure) || failure.Message != "Some error message" {
		t.Errorf("got %v", err)
	}
}

func TestExtismRun(t *testing.T) {
	r, err := Run(t.Context(), pipeline.KernelRun{Use: extismPlugin(t, "hello.wasm"), Input: []byte("x"), Config: []byte(`{"function":"run_test","config":{"a":"b"}}`)})
	if err != nil || r.Outcome != "ok" || string(r.Output) != "Hello, world!" || r.Dialect != "extism" || *r.Fuel <= 0 {
		t.Errorf("%+v %v", r, err)
	}
}

func TestExtismProblems(t *testing.T) {
	hello := extismPlugin(t, "hello.wasm")
	tests := []struct {
		use  string
		with map[string]any
		want []string
		text string
	}{
		{hello, nil, nil, ""},
		{hello, map[string]any{"function": "run_test", "config": map[string]any{"a": "b"}}, nil, ""},
		{hello, map[string]any{"function": "no"}, []string{"with kernel-exports"}, "there are: run_test"},
		{hello, map[string]any{"function": 1}, []string{"with wrong-type"}, "with.function"},
		{hello, map[string]any{"config": map[string]any{"a": 1}}, []string{"with wrong-type"}, "with.config.a is not a string"},
		{hello, map[string]any{"vars": map[string]any{}}, []string{"with wrong-type"}, "function and config only"},
		{hello, map[string]any{"config": "a"}, []string{"with wrong-type"}, "function and config only"},
		{extismPlugin(t, "read_write.wasm"), nil, []string{"with kernel-exports"}, "several functions: try_read, try_write"},
		{extismPlugin(t, "http_headers.wasm"), nil, []string{"grant missing-grant"}, "it imports extism:host/env.http_request"},
	}
	for _, tt := range tests {
		c := Defaults()
		c.Use, c.With = tt.use, tt.with
		var got []string
		all := ""
		for _, p := range c.problems(t.Context(), place{dir: t.TempDir()}) {
			got = append(got, p.path+" "+p.code)
			all += p.message + "\n"
		}
		if d := cmp.Diff(tt.want, got); d != "" || !strings.Contains(all, tt.text) {
			t.Errorf("%v: %s\n%s", tt.with, d, all)
		}
	}
	c := Defaults()
	c.Use, c.Batch = hello, 2
	if p := c.problems(t.Context(), place{}); len(p) != 1 || p[0].path != "batch" {
		t.Errorf("%+v", p)
	}
}
