package plugins

import (
	"bytes"
	"encoding/json"
	"errors"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"github.com/waybill-dev/waybill/pipeline"
	w "github.com/waybill-dev/waybill/plugins/internal/wasmtest"
)

// file writes a module into a folder of its own.
func file(t *testing.T, name string, wasm []byte) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), name)
	if err := os.WriteFile(path, wasm, 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

func TestProblems(t *testing.T) {
	good := file(t, "good.wasm", w.Guest{}.Bytes())
	noRun := w.Guest{Import: func(m *w.Module) { m.Import("kernel/1", "exec", nil, nil) }}
	extism, text := new(w.Module), "(module)"
	extism.Import("extism:host/env", "input_length", nil, nil)
	component := "\x00asm\x0d\x00\x01\x00"
	tests := []struct {
		name   string
		change func(c *Config)
		want   []string // path code
		text   string
	}{
		{"nothing wrong", func(*Config) {}, nil, ""},
		{"missing file", func(c *Config) { c.Use = "./kernels/no.wasm" }, []string{"use kernel-missing"}, "no kernel at"},
		{"a folder", func(c *Config) { c.Use = t.TempDir() }, []string{"use kernel-missing"}, "is not a file"},
		{"no file named", func(c *Config) { c.Use = "" }, []string{"use unsupported"}, "no kernel given"},
		{"a tag", func(c *Config) { c.Use = "oci://registry.example.com/k:1" }, []string{"use kernel-unlocked"}, "waybill.lock does not pin it"},
		{"half a digest", func(c *Config) { c.Use = "sha256:00" }, []string{"use bad-url"}, "64 hex digits"},
		{"a digest", func(c *Config) { c.Use = "sha256:" + strings.Repeat("0", 64) }, []string{"use kernel-missing"}, "is stored here"},
		{"no tag", func(c *Config) { c.Use = "oci://registry.example.com/k" }, []string{"use bad-url"}, "neither tag nor digest"},
		{"another scheme", func(c *Config) { c.Use = "ftp://example.com/k" }, []string{"use unsupported"}, `unknown scheme "ftp"`},
		{"not wasm", func(c *Config) { c.Use = file(t, "k", []byte("#!/bin/sh")) }, []string{"use kernel-bad"}, "not a WebAssembly module"},
		{"text", func(c *Config) { c.Use = file(t, "k", []byte(text)) }, []string{"use kernel-bad"}, "text"},
		{"component", func(c *Config) { c.Use = file(t, "k", []byte(component)) }, []string{"use kernel-bad"}, "component"},
		{"extism", func(c *Config) { c.Use = file(t, "k", extism.Bytes()) }, []string{"use kernel-exports", "use kernel-exports", "with kernel-exports"}, "no function that can be called"},
		{"no exports", func(c *Config) { c.Use = file(t, "k", new(w.Module).Bytes()) }, []string{"use kernel-exports"}, "neither"},
		{"unknown import", func(c *Config) { c.Use = file(t, "k", noRun.Bytes()) }, []string{"use kernel-exports"}, "kernel/1.exec"},
		{"memory too small", func(c *Config) { c.Limits.Memory = 1 << 16 }, []string{"use kernel-memory"}, "524288 bytes of memory to start"},
		{"limits", func(c *Config) { c.Limits = Limits{Memory: 1, Log: -1, Fuel: -5} },
			[]string{"limits.memory out-of-range", "limits.timeout out-of-range", "limits.output out-of-range", "limits.log out-of-range", "limits.fuel out-of-range", "use kernel-memory"}, "0 (no limit) or more"},
		{"batch", func(c *Config) { c.Batch = 0 }, []string{"batch out-of-range"}, "1 to 4096"},
		{"grant", func(c *Config) { c.Grant = []Grant{{HTTP: new(HTTPGrant)}} }, []string{"grant[0].http.hosts bad-grant"}, "no host is named"},
		{"expression", func(c *Config) { c.With = map[string]any{"a": []any{"x ${{ item.id }}"}} }, []string{"with.a[0] expression"}, "configured once"},
		{"command arguments", func(c *Config) { c.Use, c.With, c.Batch = built.path("command.wasm"), map[string]any{"argv": 1}, 2 },
			[]string{"with wrong-type", "batch unsupported"}, "args"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			c := Defaults()
			c.Use = good
			tt.change(&c)
			var got []string
			all := ""
			for _, p := range c.problems(t.Context(), place{dir: t.TempDir()}) {
				got = append(got, p.path+" "+p.code)
				all += p.message + "\n"
			}
			if d := cmp.Diff(tt.want, got); d != "" {
				t.Errorf("%s\n%s", d, all)
			}
			if !strings.Contains(all, tt.text) {
				t.Errorf("%q is not in %s", tt.text, all)
			}
		})
	}
}

func TestWASICommand(t *testing.T) {
	c := Defaults()
	c.Use = built.path("command.wasm")
	c.With = map[string]any{"args": []any{"-v", "x"}, "env": map[string]any{"B": "2", "A": "1"}}
	c.Limits.Output = 10_000
	s := start(t, c)
	for range 2 { // a fresh instance each time
		it := item("hello")
		if err := s.Process(t.Context(), it); err != nil {
			t.Fatal(err)
		}
		if got, want := text(t, it.Body), "args=command,-v,x env=A=1,B=2 now=1700000000000000005 in=hello"; got != want {
			t.Errorf("got %q, want %q", got, want)
		}
		if it.Dependencies[0].Annotations["dialect"] != "wasi" {
			t.Errorf("%+v", it.Dependencies[0])
		}
	}
	err := s.Process(t.Context(), item("fail"))
	if pipeline.CodeOf(err) != "kernel-exit" || !strings.Contains(err.Error(), "cannot go on") || !strings.Contains(err.Error(), "code 3") {
		t.Errorf("got %v", err)
	}
	if err := s.Process(t.Context(), item("flood")); pipeline.CodeOf(err) != "kernel-output" {
		t.Errorf("got %v", err)
	}
}

func TestRun(t *testing.T) {
	var log bytes.Buffer
	r := pipeline.KernelRun{Use: built.path("lab.wasm"), Config: []byte(`{"prefix":">"}`), Input: []byte("upper a"), CacheDir: built.cache, Stderr: &log}
	got, err := Run(t.Context(), r)
	if err != nil || got.Outcome != "ok" || string(got.Output) != ">A" || got.Dialect != "k1" || got.Elapsed <= 0 || got.Fuel == nil || *got.Fuel < 1000 {
		t.Errorf("%+v, %v", got, err)
	}
	wasm, err := os.ReadFile(r.Use)
	if err != nil || got.Digest != pipeline.DigestOf(wasm) {
		t.Errorf("digest %s, %v", got.Digest, err)
	}
	r.Input = []byte("panic")
	got, err = Run(t.Context(), r)
	if err != nil || got.Outcome != "error" || got.Code != "kernel-trap" || !strings.Contains(got.Logs, "main.go:") {
		t.Errorf("%+v, %v", got, err)
	}
	r.Input = []byte("fail badly")
	if got, err = Run(t.Context(), r); err != nil || got.Code != "kernel-error" || !strings.Contains(got.Error, "badly") {
		t.Errorf("%+v, %v", got, err)
	}
	r.Input = []byte("log hear me")
	if _, err = Run(t.Context(), r); err != nil || !strings.Contains(log.String(), "hear me") {
		t.Errorf("log %q, %v", log.String(), err)
	}
	r.Input, r.Limits = []byte("loop"), map[string]string{"timeout": "50ms", "memory": "32MiB"}
	if got, err = Run(t.Context(), r); err != nil || got.Code != "kernel-timeout" {
		t.Errorf("%+v, %v", got, err)
	}
	r.Input, r.Limits = []byte("loop"), map[string]string{"fuel": "20M"}
	if got, err = Run(t.Context(), r); err != nil || got.Code != "kernel-fuel" || *got.Fuel != 20e6 {
		t.Errorf("%+v, %v", got, err)
	}
	got, err = Run(t.Context(), pipeline.KernelRun{Use: built.path("command.wasm"), Input: []byte("in"), CacheDir: built.cache})
	if err != nil || got.Dialect != "wasi" || !strings.HasSuffix(string(got.Output), "in=in") {
		t.Errorf("%+v, %v", got, err)
	}
}

// TestRunTellsAnswersApart: no byte, no answer, a reason, several answers.
func TestRunTellsAnswersApart(t *testing.T) {
	for order, want := range map[string]pipeline.KernelResult{
		"upper ":     {Outcome: "ok", Answers: []pipeline.KernelAnswer{{Op: "put"}}},
		"keep it":    {Outcome: "ok", Output: []byte("keep it"), Answers: []pipeline.KernelAnswer{{Op: "keep", Bytes: 7}}},
		"slice part": {Outcome: "ok", Output: []byte("part"), Answers: []pipeline.KernelAnswer{{Op: "slice", Bytes: 4}}},
		"split a bc": {Outcome: "ok", Output: []byte("a\nbc"), Answers: []pipeline.KernelAnswer{{Op: "put", Key: "key-a", Bytes: 1}, {Op: "put", Key: "key-bc", Bytes: 2}}},
		"drop":       {Outcome: "dropped"},
		"skip seen":  {Outcome: "skipped", Reason: "seen"},
	} {
		got, err := Run(t.Context(), pipeline.KernelRun{Use: built.path("lab.wasm"), Key: "parent", Input: []byte(order), CacheDir: built.cache})
		if err != nil {
			t.Errorf("%s: %v", order, err)
			continue
		}
		answer := pipeline.KernelResult{Outcome: got.Outcome, Output: got.Output, Answers: got.Answers, Reason: got.Reason, Error: got.Error}
		if d := cmp.Diff(want, answer, cmpopts.EquateEmpty()); d != "" {
			t.Errorf("%s: (-want +got)\n%s", order, d)
		}
	}
}

// TestRunNamesThePort: by the manifest, if it has names.
func TestRunNamesThePort(t *testing.T) {
	port1 := w.KeepFirst()
	port1[16+6] = 1
	dir := project(t, w.Guest{Answer: port1}, `{"name":"k","version":"1.0.0","ports":["articles","rest"]}`)
	got, err := Run(t.Context(), pipeline.KernelRun{Use: filepath.Join(dir, "k.wasm"), Input: []byte("x")})
	if want := []pipeline.KernelAnswer{{Op: "keep", Port: "rest", Bytes: 1}}; err != nil || !slices.Equal(got.Answers, want) {
		t.Errorf("got %+v, %v", got, err)
	}
}

func TestRunRefuses(t *testing.T) {
	lab := built.path("lab.wasm")
	for want, r := range map[string]pipeline.KernelRun{
		"no kernel at":   {Use: "no.wasm"},
		"config":         {Use: lab, Config: []byte("[")},
		"not a count":    {Use: lab, Limits: map[string]string{"fuel": "1K"}},
		"no such limit":  {Use: lab, Limits: map[string]string{"speed": "1"}},
		"not a size":     {Use: lab, Limits: map[string]string{"memory": "many"}},
		"limits.memory":  {Use: lab, Limits: map[string]string{"memory": "1KiB"}},
		"limits.timeout": {Use: lab, Limits: map[string]string{"timeout": "0s"}},
		"is negative":    {Use: lab, Limits: map[string]string{"timeout": "-1s"}},
		"has no unit":    {Use: lab, Limits: map[string]string{"timeout": "30"}},
	} {
		if _, err := Run(t.Context(), r); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: got %v", want, err)
		}
	}
}

// TestReadable runs the example's kernel over a page that ships with every Go
// toolchain.
func TestReadable(t *testing.T) {
	c := Defaults()
	c.Use = built.path("readable.wasm")
	c.With = map[string]any{"minWords": 20}
	s := start(t, c)
	html := `<!DOCTYPE html><html lang="en"><title>A page</title><main><h1>Hello</h1><p>Two words. <a href="/x">More</a></p></main>`
	it := item(html)
	if err := s.Process(t.Context(), it); err != nil {
		t.Fatal(err)
	}
	var page struct {
		Title string
		Thin  bool
		Stats struct{ Words int }
	}
	if err := json.Unmarshal([]byte(text(t, it.Body)), &page); err != nil {
		t.Fatal(err)
	}
	if page.Title != "A page" || !page.Thin || page.Stats.Words != 4 {
		t.Errorf("%+v", page)
	}
	if it.Body.MediaType() != pipeline.MediaJSON {
		t.Errorf("media type %s", it.Body.MediaType())
	}
}

func TestFailureIsReachable(t *testing.T) {
	err := start(t, lab()).Process(t.Context(), item("panic"))
	var f *Failure
	if !errors.As(err, &f) {
		t.Fatalf("%T", err)
	}
	if f.Kernel != "lab" || !strings.Contains(f.Stderr, "main.go:") || len(f.Frames) == 0 || strings.HasPrefix(f.Frames[0], "$") {
		t.Errorf("%+v", f)
	}
	if strings.Contains(err.Error(), "\n") {
		t.Errorf("more than one line: %q", err)
	}
}
