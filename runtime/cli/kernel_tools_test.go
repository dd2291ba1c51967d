package cli

import (
	"context"
	"encoding/json"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/waybill-dev/waybill/pipeline"
)

func TestKernelNew(t *testing.T) {
	failure := error(nil)
	p := Parts{Kernels: fakeKernels{create: func(string, string) ([]string, error) { return []string{"a", "b"}, failure }}}
	r := run(t, p, "", "kernel", "new", "--lang", "go", "demo")
	if r.code != 0 {
		t.Errorf("%+v", r)
	}
	wantIn(t, "stdout", r.stdout, "2 files in demo", "cd demo\n", "waybill kernel build\n", "waybill kernel test\n")
	if r := run(t, p, "", "kernel", "new", "--lang", "go", "."); strings.Contains(r.stdout, "cd ") {
		t.Errorf("cd to where it is: %s", r.stdout)
	}
	r = run(t, p, "", "kernel", "new", "--lang", "go", "demo", "--json")
	if want := `{"dir":"demo","lang":"go","files":["a","b"]}` + "\n"; r.stdout != want {
		t.Errorf("got %s, want %s", r.stdout, want)
	}
	for want, args := range map[string][]string{
		"did you mean rust?":        {"kernel", "new", "--lang", "rusty", "demo"},
		"name a language (--lang g": {"kernel", "new", "demo"},
		"name one folder":           {"kernel", "new", "--lang", "go"},
	} {
		if r := run(t, p, "", args...); r.code != exitProblem || !strings.Contains(r.stderr, want) {
			t.Errorf("%v: %+v, want %s", args, r, want)
		}
	}
	failure = errors.New("the folder is not empty")
	if r := run(t, p, "", "kernel", "new", "--lang", "go", "demo"); r.code != exitProblem || r.stderr != "waybill: the folder is not empty\n" {
		t.Errorf("%+v", r)
	}
	if r := run(t, p, "", "kernel", "new", "--help"); !strings.Contains(r.stdout, "go, rust.") {
		t.Errorf("the help does not list the languages: %s", r.stdout)
	}
}

func TestKernelBuild(t *testing.T) {
	var asked pipeline.KernelBuild
	var failure error
	module := pipeline.KernelModule{File: "x/k.wasm", Lang: "go", Name: "k", Size: 1234567, Digest: "sha256:ab"}
	p := Parts{Kernels: fakeKernels{build: func(b pipeline.KernelBuild) (pipeline.KernelModule, error) {
		asked = b
		return module, failure
	}}}
	r := run(t, p, "", "kernel", "build")
	if r.code != 0 || asked.Dir != "." || r.stdout != "x/k.wasm  1,234,567 bytes  sha256:ab\n" {
		t.Errorf("%+v, asked %+v", r, asked)
	}
	r = run(t, p, "", "kernel", "build", "x", "-o", "out.wasm", "--json")
	var got pipeline.KernelModule
	if err := json.Unmarshal([]byte(r.stdout), &got); err != nil || got != module || asked.Dir != "x" || asked.Out != "out.wasm" {
		t.Errorf("%+v, asked %+v, %v", r, asked, err)
	}
	failure = pipeline.Fail("kernel-toolchain", "no zig toolchain: zig not found (install it)")
	if r := run(t, p, "", "kernel", "build"); r.code != exitProblem || strings.Count(r.stderr, "\n") != 1 {
		t.Errorf("a missing toolchain: %+v, want one line and exit 2", r)
	}
	failure = &pipeline.Error{Kind: pipeline.Bug, Err: errors.New("oops")}
	if r := run(t, p, "", "kernel", "build"); r.code != exitInternal {
		t.Errorf("a bug: %+v", r)
	}
}

func TestKernelCheckAndTest(t *testing.T) {
	t.Setenv("WAYBILL_CACHE", t.TempDir())
	report := pipeline.KernelReport{File: "k.wasm", Digest: "sha256:abcd", Dialect: "k1", Wants: []string{"http"},
		Cases: []pipeline.KernelCase{{Name: "good", Passed: true, Fuel: 1234}}, Notes: []string{"a note"}}
	var asked pipeline.KernelTest
	p := Parts{Kernels: fakeKernels{
		check: func(target pipeline.KernelTarget) (pipeline.KernelReport, error) {
			asked.KernelTarget = target
			return report, nil
		},
		test: func(k pipeline.KernelTest) (pipeline.KernelReport, error) { asked = k; return report, nil },
	}}
	r := run(t, p, "", "kernel", "check", "k.wasm", "--limit", "memory=1MiB")
	if r.code != 0 || asked.Path != "k.wasm" || asked.Limits["memory"] != "1MiB" || asked.CacheDir == "" {
		t.Errorf("%+v, asked %+v", r, asked)
	}
	wantIn(t, "stdout", r.stdout, "ok   limits, imports, exports and manifest of k.wasm (k1, ", "wants a grant for: http", "ok   good, 1,234 fuel",
		"note a note", "1 sample, 1 ok, 0 failed")
	report.Cases = append(report.Cases, pipeline.KernelCase{Name: "bad", Detail: "first\nsecond"}, pipeline.KernelCase{Name: "filled", File: "f.json", Passed: true, Updated: true})
	r = run(t, p, "", "kernel", "test", "--update", "--cases", "golden")
	if r.code != exitFailed || asked.Path != "." || !asked.Update || asked.Cases != "golden" {
		t.Errorf("%+v, asked %+v", r, asked)
	}
	wantIn(t, "stdout", r.stdout, "FAIL bad\n       first\n       second\n", "new  filled: f.json", "3 cases, 2 ok, 1 failed")
	report.Problems = []pipeline.KernelProblem{{Code: "kernel-exports", Message: "no export k1_run", Hint: "use an SDK"}}
	r = run(t, p, "", "kernel", "check", "k.wasm")
	if r.code != exitProblem || r.stderr != "k.wasm: kernel-exports: no export k1_run (use an SDK)\n" {
		t.Errorf("%+v", r)
	}
	r = run(t, p, "", "kernel", "test", "--json")
	var got pipeline.KernelReport
	if err := json.Unmarshal([]byte(r.stdout), &got); err != nil || len(got.Cases) != 3 || r.code != exitProblem || r.stderr != "" {
		t.Errorf("%+v, %v", r, err)
	}
	if r := run(t, p, "", "kernel", "check", "k.wasm", "--limit", "memory"); r.code != exitProblem {
		t.Errorf("a bad limit: %+v", r)
	}
}

func TestKernelBench(t *testing.T) {
	t.Setenv("WAYBILL_CACHE", t.TempDir())
	var asked pipeline.KernelBench
	cost := pipeline.KernelCost{File: "k.wasm", Digest: "sha256:ab", Input: 5, Fuel: 70, Start: 3 * time.Millisecond,
		Batches: []pipeline.KernelBatchCost{{Size: 1, Nanos: 50.04, Control: 55.044, Fuel: 70}, {Size: 64, Nanos: 20_000, Control: 20_000, Fuel: 12345}}}
	p := Parts{Kernels: fakeKernels{bench: func(b pipeline.KernelBench) (pipeline.KernelCost, error) { asked = b; return cost, nil }}}
	r := run(t, p, "hello", "kernel", "bench", "k.wasm", "--with", `{"a":1}`)
	if r.code != 0 || string(asked.Input) != "hello" || string(asked.Config) != `{"a":1}` {
		t.Errorf("%+v, asked %+v", r, asked)
	}
	wantIn(t, "stdout", r.stdout, "a record of 5 bytes; first answer after 3ms", "1      50.0ns      x1.10    70", "64     20µs        x1.00    12,345")
	run(t, p, "hello", "kernel", "bench", "k.wasm", "--case", "c")
	if asked.Case != "c" || asked.Input != nil {
		t.Errorf("asked %+v", asked)
	}
	if r := run(t, p, "", "kernel", "bench", "k.wasm", "--case", "c", "--with", "{}"); r.code != exitProblem {
		t.Errorf("two configurations: %+v", r)
	}
	var got pipeline.KernelCost
	if r := run(t, p, "", "kernel", "bench", "k.wasm", "--json"); json.Unmarshal([]byte(r.stdout), &got) != nil || got.Batches[1].Fuel != 12345 {
		t.Errorf("%+v", r)
	}
}

func TestKernelInspect(t *testing.T) {
	info := pipeline.KernelInfo{File: "k.wasm", Digest: "sha256:ab", Size: 2000, Dialect: "k1", Manifest: json.RawMessage(`{"name":"k"}`),
		Imports: []string{"one ()", "two ()"}, MemoryMin: 65536, MemoryMax: 131072, Functions: 3, Biggest: "function 1 f, 9 bytes",
		Caps: []pipeline.KernelCap{{Name: "tables", Used: 1, Limit: 4}, {Name: "locals of one function", Used: 2000, Limit: 1024}}}
	p := Parts{Kernels: fakeKernels{inspect: func(string) (pipeline.KernelInfo, error) { return info, nil }}}
	r := run(t, p, "", "kernel", "inspect", "k.wasm")
	if r.code != 0 {
		t.Errorf("%+v", r)
	}
	wantIn(t, "stdout", r.stdout, "size       2,000 bytes\n", "wants      -\n", "imports    one ()\n           two ()\n",
		"65,536 bytes at first, 131,072 at most", "the biggest: function 1 f, 9 bytes", "\n  \"name\": \"k\"\n", "25.0%", "too much")
	r = run(t, p, "", "kernel", "inspect", "k.wasm", "--json")
	var got pipeline.KernelInfo
	if err := json.Unmarshal([]byte(r.stdout), &got); err != nil || got.Functions != 3 || r.code != 0 {
		t.Errorf("%+v, %v", r, err)
	}
	info.Problems, info.Caps = []pipeline.KernelProblem{{Code: "kernel-bad", Message: "no module"}}, nil
	r = run(t, p, "", "kernel", "inspect", "k.wasm")
	if r.code != exitProblem || r.stderr != "k.wasm: kernel-bad: no module\n" || strings.Contains(r.stdout, "CAP") {
		t.Errorf("a module that cannot run: %+v", r)
	}
}

func TestKernelRunShowsTheReplay(t *testing.T) {
	t.Setenv("WAYBILL_CACHE", t.TempDir())
	file := filepath.Join(t.TempDir(), "k.wasm")
	if err := os.WriteFile(file, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	var asked pipeline.KernelRun
	p := Parts{Kernels: fakeKernels{run: func(_ context.Context, r pipeline.KernelRun) (pipeline.KernelResult, error) {
		asked = r
		return pipeline.KernelResult{Outcome: "error", Code: "kernel-trap", Error: "trap", Trace: &pipeline.KernelTrace{Cause: "trap: unreachable",
			Frames: []pipeline.KernelFrame{{Func: "f", Source: []string{"a.c:1:2 (inlined)", "b.c:3"}}, {Func: "g"}}, Logs: "last words\n", Note: "a note"}}, nil
	}}}
	r := run(t, p, "", "kernel", "run", file, "--replay", "--key", "k", "--meta", "a=b=c", "--meta", "d=")
	if r.code != exitFailed || !asked.Replay || asked.Key != "k" || asked.Meta["a"] != "b=c" || len(asked.Meta) != 2 {
		t.Errorf("%+v, asked %+v", r, asked)
	}
	wantIn(t, "stderr", r.stderr, "replayed without fuel: trap: unreachable\n  f\n      a.c:1:2 (inlined)\n      b.c:3\n  g\nlast words\na note\n")
	if r := run(t, p, "", "kernel", "run", file, "--meta", "=x"); r.code != exitProblem || !strings.Contains(r.stderr, "--meta host=example.com") {
		t.Errorf("%+v", r)
	}
}

// TestKernelRunTellsAnswersApart: what its standard output cannot show, and that
// neither is a failure.
func TestKernelRunTellsAnswersApart(t *testing.T) {
	t.Setenv("WAYBILL_CACHE", t.TempDir())
	file := filepath.Join(t.TempDir(), "k.wasm")
	if err := os.WriteFile(file, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	for want, res := range map[string]pipeline.KernelResult{
		"dropped: 0 bytes in ":                    {Outcome: "dropped"},
		"reason: seen before\n":                   {Outcome: "skipped", Reason: "seen before"},
		"answer 1: keep of 1 byte to port rest\n": {Outcome: "ok", Answers: []pipeline.KernelAnswer{{Op: "keep", Port: "rest", Bytes: 1}}},
		"answer 1: put of 2 bytes, key \"a\"\nanswer 2: put of 0 bytes\n": {Outcome: "ok",
			Answers: []pipeline.KernelAnswer{{Op: "put", Key: "a", Bytes: 2}, {Op: "put"}}},
		`"answers":[{"op":"slice","bytes":3}]`: {Outcome: "ok", Answers: []pipeline.KernelAnswer{{Op: "slice", Bytes: 3}}},
	} {
		p := Parts{Kernels: fakeKernels{run: func(context.Context, pipeline.KernelRun) (pipeline.KernelResult, error) { return res, nil }}}
		args := []string{"kernel", "run", file}
		if strings.HasPrefix(want, `"`) {
			args = append(args, "--json")
		}
		r := run(t, p, "", args...)
		if r.code != exitOK {
			t.Errorf("%q: exit code %d", want, r.code)
		}
		wantIn(t, "stderr", r.stderr, want)
	}
}

// TestModulesDoNotSteerTheTerminal: names and messages are theirs.
func TestModulesDoNotSteerTheTerminal(t *testing.T) {
	t.Setenv("WAYBILL_CACHE", t.TempDir())
	file := filepath.Join(t.TempDir(), "k.wasm")
	if err := os.WriteFile(file, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	const evil = "e\x1b]0;vil\a\u009b2J"
	problems := []pipeline.KernelProblem{{Code: "kernel-bad", Message: evil}}
	cases := []pipeline.KernelCase{{Name: evil, Detail: evil}, {Name: evil, Passed: true}, {Name: evil, Updated: true}}
	tools := fakeKernels{
		inspect: func(string) (pipeline.KernelInfo, error) {
			return pipeline.KernelInfo{Imports: []string{evil}, Exports: []string{evil}, Biggest: evil, Problems: problems,
				Manifest: json.RawMessage(`{"name":"\u009b` + "\u009b" + `"}`)}, nil
		},
		check: func(pipeline.KernelTarget) (pipeline.KernelReport, error) {
			return pipeline.KernelReport{Cases: cases, Notes: []string{evil}, Problems: problems}, nil
		},
		build: func(pipeline.KernelBuild) (pipeline.KernelModule, error) {
			return pipeline.KernelModule{}, errors.New(evil)
		},
		run: func(context.Context, pipeline.KernelRun) (pipeline.KernelResult, error) {
			return pipeline.KernelResult{Outcome: "error", Error: evil, Reason: evil,
				Answers: []pipeline.KernelAnswer{{Op: "put", Port: evil, Key: evil}}, Trace: &pipeline.KernelTrace{Cause: evil, Logs: evil,
					Frames: []pipeline.KernelFrame{{Func: evil, Source: []string{evil}}}}}, nil
		},
	}
	for _, args := range [][]string{{"inspect", "k"}, {"check", "k"}, {"build"}, {"run", file, "--replay"}} {
		r := run(t, Parts{Kernels: tools}, "", append([]string{"kernel"}, args...)...)
		if text := r.stdout + r.stderr; strings.ContainsAny(text, "\x1b\a\u009b") || !strings.Contains(text, "vil") {
			t.Errorf("%v: %q", args, text)
		}
	}
}

func TestKernelCommandsNeedTheTools(t *testing.T) {
	for _, args := range [][]string{{"build"}, {"check", "x"}, {"test"}, {"bench", "x"}, {"inspect", "x"}, {"run", "x"}, {"new", "--lang", "go", "x"}} {
		if r := run(t, Parts{}, "", append([]string{"kernel"}, args...)...); r.code != exitProblem || r.stderr != "waybill: this binary has no kernel host\n" {
			t.Errorf("%v: %+v", args, r)
		}
	}
}

func TestThousands(t *testing.T) {
	for n, want := range map[int64]string{0: "0", 999: "999", 1000: "1,000", 1234567: "1,234,567", -1000: "-1,000", -100: "-100"} {
		if got := thousands(n); got != want {
			t.Errorf("%d: %s, want %s", n, got, want)
		}
	}
}
