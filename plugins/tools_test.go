package plugins

import (
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/waybill-dev/waybill/pipeline"
	"github.com/waybill-dev/waybill/plugins/internal/manifest"
	w "github.com/waybill-dev/waybill/plugins/internal/wasmtest"
)

// counting is a kernel that answers how often its memory was called: 1, if the
// host puts it back before each call.
func counting() w.Guest {
	frame := append(w.KeepFirst(), 0)
	frame[4], frame[16+4], frame[16+16], frame[16+20] = 41, 2, 40, 1 // total; PUT of the byte behind
	const value = w.AnswerAt + 40
	load, add, store := []byte{0x2d, 0, 0}, []byte{0x6a}, []byte{0x3a, 0, 0}
	return w.Guest{Answer: frame, Run: [][]byte{w.Const(value), w.Const(value), load, w.Const(1), add, store, w.Packed(w.AnswerAt, 41)}}
}

// project writes a built project: a manifest, its module and golden cases.
func project(t *testing.T, g w.Guest, meta string, cases ...string) string {
	t.Helper()
	dir := t.TempDir()
	wasm, err := manifest.Attach(g.Bytes(), []byte(meta))
	if err != nil {
		t.Fatal(err)
	}
	write := func(name, text string) {
		t.Helper()
		file := filepath.Join(dir, name)
		if err := os.MkdirAll(filepath.Dir(file), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	write(manifestFile, meta)
	write("k.wasm", string(wasm))
	for i, c := range cases {
		write(filepath.Join(casesDir, string(rune('a'+i))+".json"), c)
	}
	return dir
}

const counts = `"samples":[{"name":"one","want":[{"op":"put","value64":"AQ=="}]},{"name":"two","value":"x","want":[{"op":"put","value64":"AQ=="}]}]`

func check(t *testing.T, path string) pipeline.KernelReport {
	t.Helper()
	r, err := Tools{}.Check(t.Context(), pipeline.KernelTarget{Path: path})
	if err != nil {
		t.Fatal(err)
	}
	return r
}

// A kernel that remembers passes as long as it does not promise to forget.
func TestCheckHoldsKernelsToReuse(t *testing.T) {
	r := check(t, project(t, counting(), `{"name":"k","version":"1.0.0",`+counts+`}`))
	if len(r.Problems) > 0 || len(r.Cases) != 2 || !r.Cases[0].Passed || !r.Cases[1].Passed || r.Cases[0].Fuel <= 0 {
		t.Errorf("put back before each call: %+v", r)
	}
	r = check(t, project(t, counting(), `{"name":"k","version":"1.0.0","reuse":true,`+counts+`}`))
	if r.Cases[0].Passed || !strings.Contains(r.Cases[0].Detail, "in reverse order, on one instance it differs:") {
		t.Errorf("a broken promise: %+v", r.Cases[0])
	}
	if r.Cases[1].Passed || !strings.Contains(r.Cases[1].Detail, "want 01") && !strings.Contains(r.Cases[1].Detail, `\x01`) {
		t.Errorf("a broken promise: %+v", r.Cases[1])
	}
}

func TestCheckComparesWithTheSample(t *testing.T) {
	meta := `{"name":"k","version":"1.0.0","wants":["http"],"samples":[{"name":"kept","value":"v","want":[{"op":"keep"}]},{"name":"wrong","fuel":1}]}`
	r := check(t, project(t, w.Guest{Answer: w.KeepFirst()}, meta))
	if !r.Cases[0].Passed || r.Cases[1].Passed || !strings.Contains(r.Cases[1].Detail, "fuel: want 1, got") {
		t.Errorf("%+v", r.Cases)
	}
	if !slices.Equal(r.Wants, []string{"http"}) || len(r.Notes) != 1 || !strings.Contains(r.Notes[0], "without any grant") {
		t.Errorf("%+v", r)
	}
	trap := check(t, project(t, w.Guest{Run: [][]byte{w.Unreachable()}}, `{"name":"k","version":"1.0.0","samples":[{"name":"s"}]}`))
	if trap.Cases[0].Passed || !strings.Contains(trap.Cases[0].Detail, "no answer: kernel k") {
		t.Errorf("a trap: %+v", trap.Cases)
	}
}

func TestCheckNamesWhatKeepsItFromRunning(t *testing.T) {
	dir := project(t, w.Guest{}, `{"name":"k","version":"1.0.0"}`)
	if r := check(t, dir); len(r.Problems) > 0 || len(r.Notes) != 1 || !strings.Contains(r.Notes[0], "no sample") {
		t.Errorf("no sample: %+v", r)
	}
	asks := w.Guest{Import: func(m *w.Module) { m.Import("kernel/1", "http", []byte{w.I32, w.I32, w.I32, w.I32}, []byte{w.I64}) }}
	if r := check(t, project(t, asks, `{"name":"k","version":"1.0.0"}`)); !slices.Equal(r.Wants, []string{"http"}) || !strings.Contains(r.Notes[0], "imports http") {
		t.Errorf("an import that is not declared: %+v", r)
	}
	odd := w.Guest{Import: func(m *w.Module) { m.Import("env", "abort", nil, nil) }}
	if r := check(t, project(t, odd, `{"name":"k","version":"1.0.0"}`)); len(r.Problems) != 1 || r.Problems[0].Code != "kernel-exports" {
		t.Errorf("an unknown import: %+v", r.Problems)
	}
	module := filepath.Join(dir, "k.wasm")
	wasm := append(w.Guest{}.Bytes(), 0, 11, 7)
	if err := os.WriteFile(module, append(append(wasm, manifest.SectionName...), "{}\n"...), 0o600); err != nil {
		t.Fatal(err)
	}
	r := check(t, module)
	if len(r.Problems) != 2 || r.Problems[0].Code != "missing-key" || !strings.HasPrefix(r.Problems[0].Message, "manifest: name") {
		t.Errorf("a bad manifest: %+v", r.Problems)
	}
	for want, target := range map[string]pipeline.KernelTarget{
		"no such file":         {Path: filepath.Join(dir, "none.wasm")},
		"is no kernel project": {Path: t.TempDir()},
		"no such limit":        {Path: module, Limits: map[string]string{"speed": "1"}},
		"limits.memory":        {Path: module, Limits: map[string]string{"memory": "1KiB"}},
	} {
		if _, err := (Tools{}).Check(t.Context(), target); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("got %v, want %q", err, want)
		}
	}
	if err := os.Remove(module); err != nil {
		t.Fatal(err)
	}
	if _, err := (Tools{}).Check(t.Context(), pipeline.KernelTarget{Path: dir}); err == nil || !strings.Contains(err.Error(), "is not built") {
		t.Errorf("not built: %v", err)
	}
}

func TestGoldenCases(t *testing.T) {
	dir := project(t, w.Guest{Answer: w.KeepFirst()}, `{"name":"k","version":"1.0.0"}`,
		`{"name":"good","value":"v","want":[{"op":"keep"}]}`, `{"name":"dropped","value":"v"}`)
	run := func(update bool) pipeline.KernelReport {
		t.Helper()
		r, err := Tools{}.Test(t.Context(), pipeline.KernelTest{KernelTarget: pipeline.KernelTarget{Path: dir}, Update: update})
		if err != nil {
			t.Fatal(err)
		}
		return r
	}
	r := run(false)
	if len(r.Cases) != 2 || !r.Cases[0].Passed || r.Cases[1].Passed || !strings.Contains(r.Cases[1].Detail, "got 1") {
		t.Errorf("%+v", r.Cases)
	}
	if r = run(true); !r.Cases[1].Passed || !r.Cases[1].Updated || r.Cases[0].Updated {
		t.Errorf("update: %+v", r.Cases)
	}
	if r = run(false); !r.Cases[1].Passed || r.Cases[1].Updated {
		t.Errorf("after the update: %+v", r.Cases)
	}
	target := pipeline.KernelTarget{Path: filepath.Join(dir, "k.wasm")}
	if _, err := (Tools{}).Test(t.Context(), pipeline.KernelTest{KernelTarget: target, Cases: t.TempDir()}); pipeline.CodeOf(err) != codeCases {
		t.Errorf("no cases: %v", err)
	}
	if r, err := (Tools{}).Test(t.Context(), pipeline.KernelTest{KernelTarget: target}); err != nil || len(r.Cases) != 2 {
		t.Errorf("by the module: %+v, %v", r, err)
	}
}

// A trap is never written down as what a case wants.
func TestUpdateKeepsCasesThatTrap(t *testing.T) {
	dir := project(t, w.Guest{Run: [][]byte{w.Unreachable()}}, `{"name":"k","version":"1.0.0"}`, `{"name":"a"}`)
	r, err := Tools{}.Test(t.Context(), pipeline.KernelTest{KernelTarget: pipeline.KernelTarget{Path: dir}, Update: true})
	if err != nil || r.Cases[0].Passed || r.Cases[0].Updated {
		t.Errorf("%+v, %v", r, err)
	}
}

func TestInspect(t *testing.T) {
	g := w.Guest{Import: func(m *w.Module) { m.Import("kernel/1", "counter", []byte{w.I32, w.I64}, nil) }}
	k, err := Tools{}.Inspect(project(t, g, `{"name":"k","version":"1.0.0","wants":["state"]}`))
	if err != nil {
		t.Fatal(err)
	}
	if k.Dialect != "k1" || k.Functions != 4 || k.MemoryMin != 8<<16 || !slices.Equal(k.Imports, []string{"kernel/1.counter (i32, i64)"}) ||
		!slices.Contains(k.Exports, "k1_run (i32, i32) -> i64") || !slices.Contains(k.Exports, "memory: memory") ||
		!slices.Equal(k.Wants, []string{"state"}) || !strings.Contains(string(k.Manifest), `"version":"1.0.0"`) || len(k.Problems) > 0 {
		t.Errorf("%+v", k)
	}
	for _, c := range k.Caps {
		if c.Used > c.Limit || c.Limit == 0 || c.Name == "functions" && c.Used != 5 {
			t.Errorf("%+v", c)
		}
	}
	text := filepath.Join(t.TempDir(), "text.wasm")
	if err := os.WriteFile(text, []byte("(module)"), 0o600); err != nil {
		t.Fatal(err)
	}
	if k, err := (Tools{}).Inspect(text); err != nil || len(k.Problems) != 1 || !strings.Contains(k.Problems[0].Hint, "wat2wasm") {
		t.Errorf("%+v, %v", k, err)
	}
}

func TestBench(t *testing.T) {
	dir := project(t, w.Guest{Answer: w.KeepFirst()}, `{"name":"k","version":"1.0.0","samples":[{"name":"s","value":"123","want":[{"op":"keep"}]}]}`,
		`{"name":"c","value":"12"}`)
	bench := func(name string) (pipeline.KernelCost, error) {
		return Tools{}.Bench(t.Context(), pipeline.KernelBench{KernelTarget: pipeline.KernelTarget{Path: dir}, Case: name})
	}
	c, err := bench("s")
	if err != nil || c.Input != 3 || c.Fuel <= 0 || len(c.Batches) != 2 || c.Batches[0].Size != 1 || c.Batches[1].Size != 64 {
		t.Fatalf("%+v, %v", c, err)
	}
	for _, b := range c.Batches {
		if b.Nanos <= 0 || b.Control <= 0 {
			t.Errorf("%+v", b)
		}
	}
	if c.Batches[0].Fuel != c.Fuel || c.Batches[1].Fuel >= c.Fuel {
		t.Errorf("fuel of a record: %d alone, %+v", c.Fuel, c.Batches)
	}
	if _, err := bench("d"); err == nil || !strings.Contains(err.Error(), "did you mean") {
		t.Errorf("an unknown case: %v", err)
	}
}

func TestBuildRefuses(t *testing.T) {
	dir := t.TempDir()
	build := func() error {
		_, err := Tools{}.Build(t.Context(), pipeline.KernelBuild{Dir: dir})
		return err
	}
	if err := build(); pipeline.CodeOf(err) != codeMissing || !strings.Contains(err.Error(), "kernel new") {
		t.Errorf("an empty folder: %v", err)
	}
	file := filepath.Join(dir, manifestFile)
	for _, tc := range []struct{ text, want string }{
		{`{"name":"k"}`, "kernel.json:1:1: version"},
		{`{"name":"k","version":"1.0.0"}`, "none of the languages go"}, // what follows needs it
	} {
		if err := os.WriteFile(file, []byte(tc.text), 0o600); err != nil {
			t.Fatal(err)
		}
		if err := build(); err == nil || !strings.Contains(err.Error(), tc.want) {
			t.Errorf("got %v, want %q", err, tc.want)
		}
	}
	if err := os.WriteFile(filepath.Join(dir, "go.mod"), []byte("module k\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	t.Setenv("PATH", t.TempDir())
	if err := build(); pipeline.CodeOf(err) != codeToolchain || strings.Contains(err.Error(), "\n") {
		t.Errorf("no toolchain: %v", err)
	}
}

func TestRunHasKeyMetaAndReplay(t *testing.T) {
	r := pipeline.KernelRun{Use: built.path("lab.wasm"), CacheDir: built.cache, Input: []byte("world"), Key: "k7", Meta: map[string]string{"a": "b"}}
	got, err := Run(t.Context(), r)
	if err != nil || !strings.Contains(string(got.Output), `key=k7 meta={"a":"b"}`) {
		t.Errorf("%+v, %v: %s", got, err, got.Output)
	}
	if got.Trace != nil {
		t.Error("a record that went through was replayed")
	}
	dir := project(t, w.Guest{Run: [][]byte{w.Unreachable()}}, `{"name":"k","version":"1.0.0","wants":["secret"]}`)
	got, err = Run(t.Context(), pipeline.KernelRun{Use: filepath.Join(dir, "k.wasm"), Replay: true})
	if err != nil || got.Code != "kernel-trap" || got.Trace == nil || got.Trace.Cause != "trap: unreachable" ||
		len(got.Trace.Frames) != 1 || !strings.Contains(got.Trace.Note, "DWARF") {
		t.Errorf("%+v, %+v, %v", got, got.Trace, err)
	}
	loop := project(t, w.Guest{Run: [][]byte{w.Forever(), w.Packed(0, 0)}}, `{"name":"k","version":"1.0.0"}`)
	got, err = Run(t.Context(), pipeline.KernelRun{Use: filepath.Join(loop, "k.wasm"), Replay: true, Limits: map[string]string{"fuel": "1000", "timeout": "200ms"}})
	if err != nil || got.Code != "kernel-fuel" || !strings.Contains(got.Trace.Cause, "ran longer than 200ms") {
		t.Errorf("%+v, %+v, %v", got, got.Trace, err)
	}
}

// TestProblemsHaveAPlace: in the manifest of a project and in its golden cases.
func TestProblemsHaveAPlace(t *testing.T) {
	dir := project(t, w.Guest{}, `{"name":"k","version":"1.0.0"}`)
	bad := "{\"name\":\"k\",\n  \"version\":\"1.0.0\",\n  \"stat\":\"pure\"}"
	if err := os.WriteFile(filepath.Join(dir, manifestFile), []byte(bad), 0o600); err != nil {
		t.Fatal(err)
	}
	_, err := Tools{}.Check(t.Context(), pipeline.KernelTarget{Path: dir})
	if want := filepath.Join(dir, manifestFile) + ":3:3: stat: "; err == nil || !strings.HasPrefix(err.Error(), want) {
		t.Errorf("got %v, want %s", err, want)
	}
	dir = project(t, w.Guest{}, `{"name":"k","version":"1.0.0"}`, "{\"name\":\"a\",\n \"vlue\":\"\"}", "{\n\"name\": b}")
	_, err = Tools{}.Test(t.Context(), pipeline.KernelTest{KernelTarget: pipeline.KernelTarget{Path: dir}})
	for _, want := range []string{"a.json:2:2: vlue: ", "b.json:2:9: not JSON: "} {
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("got %v, want %s", err, want)
		}
	}
}
