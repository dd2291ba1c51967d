package cli

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/spf13/cobra"

	"github.com/waybill-dev/waybill/pipeline"
)

// result is what one command line did.
type result struct {
	code           int
	stdout, stderr string
}

func run(t *testing.T, p Parts, stdin string, args ...string) result {
	t.Helper()
	var stdout, stderr bytes.Buffer
	code := Run(context.Background(), p, args, strings.NewReader(stdin), &stdout, &stderr)
	return result{code, stdout.String(), stderr.String()}
}

func wantIn(t *testing.T, what, text string, parts ...string) {
	t.Helper()
	for _, p := range parts {
		if !strings.Contains(text, p) {
			t.Errorf("%s lacks %q: %s", what, p, text)
		}
	}
}

func TestUsageErrors(t *testing.T) {
	tests := map[string]struct {
		args []string
		want []string
	}{
		"unknown command":    {[]string{"chekc"}, []string{`unknown command "chekc"`, "did you mean check?"}},
		"unknown subcommand": {[]string{"queue", "stat"}, []string{`unknown command "stat" for "waybill queue"`, "did you mean stats?"}},
		"unknown flag":       {[]string{"run", "--until-emty", "x.yaml"}, []string{"--until-emty", "did you mean --until-empty?"}},
		"missing argument":   {[]string{"check"}, []string{"name pipeline files, got 0 arguments", "usage: waybill check"}},
		"two files":          {[]string{"run", "a.yaml", "b.yaml"}, []string{"name one pipeline file, got 2 arguments", "usage: waybill run FILE"}},
		"missing flag":       {[]string{"queue", "stats"}, []string{"--from is missing", "sqlite:var/queue.db"}},
		"no scheme":          {[]string{"queue", "stats", "--from", "var/queue.db"}, []string{"not a queue URL"}},
		"unknown scheme":     {[]string{"queue", "stats", "--from", "sqlit:q.db"}, []string{`unknown scheme "sqlit"`, "did you mean sqlite?"}},
		"verify nothing":     {[]string{"verify"}, []string{"verify what?", "--log"}},
		"retry nothing":      {[]string{"queue", "retry", "--from", "sqlite:x"}, []string{"no such queue"}},
	}
	p := Parts{
		Queues: []pipeline.QueueDriver{{Scheme: "sqlite", Open: func(context.Context, string, pipeline.QueueOptions) (pipeline.Source, error) {
			return nil, fmt.Errorf("sqlite:x: %w", pipeline.ErrNoQueue)
		}}},
		Verify: func(context.Context, pipeline.VerifyRequest, func(pipeline.Verdict)) error { return nil },
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			r := run(t, p, "", tt.args...)
			if r.code != exitProblem || r.stdout != "" {
				t.Errorf("exit %d, stdout %q; want 2 and nothing", r.code, r.stdout)
			}
			wantIn(t, "stderr", r.stderr, tt.want...)
		})
	}
}

// Every command says what it does, shows an example and knows --json.
func TestHelp(t *testing.T) {
	var walk func(c *cobra.Command)
	walk = func(c *cobra.Command) {
		if c.Short == "" || c.Example == "" || !strings.Contains(c.Example, "waybill") {
			t.Errorf("%s: without a description or an example", c.CommandPath())
		}
		if c.Flag("json") == nil && c.InheritedFlags().Lookup("json") == nil {
			t.Errorf("%s: without --json", c.CommandPath())
		}
		for _, child := range c.Commands() {
			walk(child)
		}
	}
	walk((&app{}).root())
	if r := run(t, Parts{}, "", "--help"); r.code != 0 || !strings.Contains(r.stdout, "verify") {
		t.Errorf("--help: %+v", r)
	}
}

func TestExitCode(t *testing.T) {
	for _, tt := range []struct {
		err  error
		want int
	}{
		{errors.New("?"), exitInternal},
		{problem("", "p"), exitProblem},
		{fmt.Errorf("x: %w", pipeline.ErrNoQueue), exitProblem},
		{fmt.Errorf("x: %w", pipeline.ErrCorrupt), exitFailed},
		{pipeline.Fail("kernel", "k"), exitProblem},
		{&pipeline.Error{Kind: pipeline.Bug, Err: errors.New("panic")}, exitInternal},
		{fmt.Errorf("open: %w", &pipeline.Error{Kind: pipeline.Unavailable, Code: "queue-unreachable", Err: errors.New("refused")}), exitInternal},
		{&net.OpError{Op: "dial", Net: "tcp", Err: syscall.ECONNREFUSED}, exitInternal},
		{fmt.Errorf("x: %w", context.Canceled), exitInterrupted},
		{&os.PathError{Op: "open", Path: "p", Err: os.ErrPermission}, exitProblem},
		{silent(exitFailed), exitFailed},
	} {
		if got := exitCode(tt.err); got != tt.want {
			t.Errorf("exitCode(%v) = %d, want %d", tt.err, got, tt.want)
		}
	}
}

func TestJoinedErrorsAreOneLine(t *testing.T) {
	var b bytes.Buffer
	a := &app{stderr: &b}
	a.finish(errors.Join(errors.New("one"), errors.Join(errors.New("two"), errors.New("three"))))
	if got := b.String(); got != "waybill: one; two; three\n" {
		t.Errorf("%q", got)
	}
}

func TestRedact(t *testing.T) {
	var b bytes.Buffer
	a := &app{stderr: &b, secrets: []string{"", "s3cret"}}
	a.finish(errors.New("token s3cret refused"))
	if got := b.String(); got != "waybill: token [redacted] refused\n" {
		t.Errorf("%q", got)
	}
}

func TestVerify(t *testing.T) {
	var asked pipeline.VerifyRequest
	verdicts := []pipeline.Verdict{{Subject: "log", OK: true}, {Subject: "a", OK: true, Skipped: []string{"objects: no store"}}}
	p := Parts{Verify: func(_ context.Context, r pipeline.VerifyRequest, yield func(pipeline.Verdict)) error {
		asked = r
		for _, v := range verdicts {
			yield(v)
		}
		return nil
	}}
	r := run(t, p, "", "verify", "--log", "file:l", "--store", "file:s", "--key", "k", "--json", "one.proof")
	named := `[{"receipt":"a","index":0,"ok":true,"skipped":["objects: no store"]}]`
	if want := `{"receipts":1,"ok":1,"failed":[],"named":` + named + `,"skipped":["objects: no store"]}` + "\n"; r.code != 0 || r.stdout != want {
		t.Errorf("%+v, want %s", r, want)
	}
	want := pipeline.VerifyRequest{Log: "file:l", Store: "file:s", Key: "k", Receipts: []string{"one.proof"}}
	if d := cmp.Diff(want, asked); d != "" {
		t.Error(d)
	}
	verdicts = append(verdicts, pipeline.Verdict{Subject: "b", Failed: "object", Detail: "one byte differs"})
	r = run(t, p, "", "verify", "--log", "file:l")
	if r.code != exitFailed {
		t.Errorf("exit %d, want 1", r.code)
	}
	wantIn(t, "stdout", r.stdout, "FAILED b: object: one byte differs", "failed: 2 receipts, 1 ok, 1 failed")
	// A log that is broken as a whole fails although no receipt does.
	verdicts = []pipeline.Verdict{{Subject: "log", Failed: "checkpoint"}}
	if r = run(t, p, "", "verify", "--log", "file:l", "--json"); r.code != exitFailed {
		t.Errorf("broken log: exit %d, want 1", r.code)
	}
	verdicts = append(verdicts, pipeline.Verdict{Subject: "a", OK: true})
	r = run(t, p, "", "verify", "--log", "file:l")
	wantIn(t, "stdout", r.stdout, "failed: 1 receipt ok, but the log failed\n")
	// What a named receipt says is told, if it holds.
	verdicts = []pipeline.Verdict{{Subject: "log", OK: true}, {Subject: "a", Item: "dead-1", Result: pipeline.Dead, OK: true},
		{Subject: "b", Item: "forged", Failed: "statement", Outputs: []pipeline.Output{{Name: "body"}}}}
	r = run(t, p, "", "verify", "--log", "file:l", "a", "b")
	wantIn(t, "stdout", r.stdout, "dead-1  dead", "FAILED b: statement")
	if strings.Contains(r.stdout, "forged") {
		t.Errorf("the outputs of a broken receipt are listed: %s", r.stdout)
	}
}

func TestKernelRun(t *testing.T) {
	kernel := filepath.Join(t.TempDir(), "k.wasm")
	if err := os.WriteFile(kernel, []byte("x"), 0o600); err != nil {
		t.Fatal(err)
	}
	t.Setenv("WAYBILL_CACHE", t.TempDir())
	var asked pipeline.KernelRun
	answer := pipeline.KernelResult{Outcome: "ok", Output: []byte("bytes\x00out"), Elapsed: time.Millisecond, Dialect: "k1", Logs: "hi"}
	p := Parts{Kernels: fakeKernels{run: func(_ context.Context, r pipeline.KernelRun) (pipeline.KernelResult, error) {
		asked = r
		return answer, nil
	}}}
	r := run(t, p, "input", "kernel", "run", kernel, "--json", "--with", `{"a":1}`, "--limit", "memory=1MiB,timeout=1s")
	if r.code != 0 || r.stdout != "bytes\x00out" {
		t.Errorf("%+v, want the result's bytes alone on stdout", r)
	}
	var outcome map[string]any
	if err := json.Unmarshal([]byte(r.stderr), &outcome); err != nil || outcome["outcome"] != "ok" || outcome["logs"] != "hi" {
		t.Errorf("stderr %q is not the outcome: %v", r.stderr, err)
	}
	if string(asked.Input) != "input" || string(asked.Config) != `{"a":1}` || asked.Limits["memory"] != "1MiB" || asked.Limits["timeout"] != "1s" {
		t.Errorf("asked %+v", asked)
	}
	answer.Outcome, answer.Error, answer.Code = "error", "unreachable", "trap"
	if r := run(t, p, "", "kernel", "run", kernel); r.code != exitFailed || !strings.Contains(r.stderr, "trap: unreachable") {
		t.Errorf("a trap: %+v", r)
	}
	answer.Error = "one\ntwo"
	if r := run(t, p, "", "kernel", "run", kernel); strings.Count(r.stderr, "\n") != 2 || !strings.Contains(r.stderr, "trap: one; two\n") {
		t.Errorf("two joined problems: %+v, want the outcome and one line", r)
	}
	for name, args := range map[string][]string{
		"missing": {"kernel", "run", kernel + "x"}, "bad with": {"kernel", "run", kernel, "--with", "{"}, "bad limit": {"kernel", "run", kernel, "--limit", "1MiB"},
	} {
		if r := run(t, p, "", args...); r.code != exitProblem || strings.Count(r.stderr, "\n") != 1 {
			t.Errorf("%s: %+v, want exit 2 and one line", name, r)
		}
	}
}

// A kernel that could not even be started is an outcome too, and names its file.
func TestKernelRunRefused(t *testing.T) {
	kernel := filepath.Join(t.TempDir(), "k.wasm")
	if err := os.WriteFile(kernel, []byte("x"), 0o600); err != nil {
		t.Fatal(err)
	}
	t.Setenv("WAYBILL_CACHE", t.TempDir())
	refusal := errors.New("limit foo: no such limit")
	p := Parts{Kernels: fakeKernels{run: func(context.Context, pipeline.KernelRun) (pipeline.KernelResult, error) {
		return pipeline.KernelResult{}, refusal
	}}}
	if r := run(t, p, "", "kernel", "run", kernel, "--limit", "foo=1"); r.code != exitProblem || r.stderr != "waybill: limit foo: no such limit\n" {
		t.Errorf("an unknown limit: %+v", r)
	}
	refusal = errors.Join(pipeline.Fail("not-wasm", "use: no module"), pipeline.Fail("other", "limits.memory: too small"))
	want := "waybill: " + kernel + ": no module; limits.memory: too small\n"
	if r := run(t, p, "", "kernel", "run", kernel); r.code != exitProblem || r.stderr != want {
		t.Errorf("%+v, want %s", r, want)
	}
	r := run(t, p, "", "kernel", "run", kernel, "--json")
	var outcome map[string]any
	if err := json.Unmarshal([]byte(r.stderr), &outcome); err != nil || r.code != exitProblem {
		t.Fatalf("%+v: %v", r, err)
	}
	if outcome["outcome"] != "error" || outcome["code"] != "not-wasm" || !strings.HasPrefix(outcome["error"].(string), kernel+": no module") {
		t.Errorf("outcome %v", outcome)
	}
	refusal = &pipeline.Error{Kind: pipeline.Bug, Err: errors.New("panic")}
	if r := run(t, p, "", "kernel", "run", kernel); r.code != exitInternal {
		t.Errorf("a bug: %+v", r)
	}
	config := filepath.Join(t.TempDir(), "with.json")
	if err := os.WriteFile(config, []byte("{\n \"a\": 1,\n \"ä\" 2}"), 0o600); err != nil {
		t.Fatal(err)
	}
	for with, want := range map[string]string{"{bad": "--with:1:2: not JSON: invalid character 'b'", "@" + config: config + ":3:6: not JSON: "} {
		r := run(t, p, "", "kernel", "run", kernel, "--with", with)
		if r.code != exitProblem {
			t.Errorf("%s: exit %d", with, r.code)
		}
		wantIn(t, "stderr", r.stderr, want)
	}
}

func TestVersionAndDoctor(t *testing.T) {
	t.Setenv("WAYBILL_CACHE", t.TempDir())
	t.Setenv("WAYBILL_RUNTIME_DIR", t.TempDir())
	p := Parts{Version: "v1.2.3", Probes: []pipeline.Probe{{Name: "browser", Run: func(context.Context, pipeline.Env) pipeline.Finding {
		return pipeline.Finding{Status: "fail", Detail: "no Chrome", Hint: "install one"}
	}}}}
	r := run(t, p, "", "version", "--json")
	var v versionInfo
	if err := json.Unmarshal([]byte(r.stdout), &v); err != nil || v.Version != "v1.2.3" || v.Go == "" {
		t.Errorf("version: %+v, %v", r, err)
	}
	r = run(t, p, "", "doctor")
	if r.code != exitFailed {
		t.Errorf("doctor with a failed probe: exit %d", r.code)
	}
	wantIn(t, "doctor", r.stdout, "ok   temporary folder", "ok   runtime folder", "fail browser: no Chrome", "install one")
}
