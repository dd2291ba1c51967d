package execute_test

import (
	"flag"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/waybill-dev/waybill/cdp/cdptest/stepsite"
	"github.com/waybill-dev/waybill/pipeline"
	"github.com/waybill-dev/waybill/pipeline/pipelinetest"
	"github.com/waybill-dev/waybill/stages/execute"
)

var update = flag.Bool("update", false, "write the golden files")

// order reads a recording; only the host in it is not the recorded one.
func order(t *testing.T, site string) []byte {
	t.Helper()
	raw, err := os.ReadFile("testdata/order.json")
	if err != nil {
		t.Fatal(err)
	}
	return []byte(strings.ReplaceAll(string(raw), "http://site.test", site))
}

// A recording in the schema of Chrome's Recorder runs as it is, and what it is
// imported to does the same.
func TestRecording(t *testing.T) {
	pool, site := shared.Pool(t), stepsite.Serve(t)
	t.Setenv("PASSWORD", "hunter2")
	dir, src := t.TempDir(), order(t, site)
	if err := os.WriteFile(filepath.Join(dir, "order.json"), src, 0o600); err != nil {
		t.Fatal(err)
	}
	imported, _, problems := execute.Import("order.json", src, false)
	if len(problems) > 0 {
		t.Fatal(problems)
	}
	for name, config := range map[string]string{"as it is": "steps: order.json\n", "imported": string(imported)} {
		it := pipelinetest.Item(map[string]any{})
		if err := runIn(t, pool, dir, config, it); err != nil {
			t.Errorf("%s: %v", name, err)
			continue
		}
		// What looks like an expression in a recording was typed as it is.
		want := map[string]any{"name": "[Ada ${{ item.id }} \U0001F600]", "password": "[hunter2]"}
		if got, _ := it.Body.Value(); cmp.Diff(want, got) != "" {
			t.Errorf("%s: %s", name, cmp.Diff(want, got))
		}
		var named pipeline.Digest
		for _, d := range it.Dependencies {
			if d.Name == "recording" {
				named = d.Digest
			}
		}
		if asItIs := name == "as it is"; asItIs != (named == pipeline.DigestOf(src)) {
			t.Errorf("%s: the evidence names %q", name, named)
		}
	}
}

func TestImport(t *testing.T) {
	got, notes, problems := execute.Import("order.json", order(t, "http://site.test"), false)
	if len(problems) > 0 {
		t.Fatal(problems)
	}
	if *update {
		if err := os.WriteFile("testdata/order.yaml", got, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile("testdata/order.yaml")
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(string(want), string(got)); diff != "" {
		t.Errorf("(-golden +got)\n%s", diff)
	}
	if len(notes) != 1 || !strings.HasPrefix(notes[0], "order.json:69:22: a password") || strings.Contains(string(got), "hunter2") {
		t.Errorf("notes: %q", notes)
	}
	if kept, _, _ := execute.Import("order.json", order(t, "http://site.test"), true); !strings.Contains(string(kept), "hunter2") {
		t.Error("keep does not keep the password")
	}
}

// Problems of a recording have their place in the recording.
func TestRecordingProblems(t *testing.T) {
	for _, c := range []struct{ name, src, want string }{
		{"not JSON", "{\n  \"title\": x}", "line 2, column 12: it is not JSON"},
		{"no steps", `{ "title": "x", "steps": [] }`, "rec.json:1:26: steps: there is no step"},
		{"unknown type", `{ "title": "x", "steps": [{ "type": "clik" }] }`, `rec.json:1:37: steps[0].type: recordings have no step of the type "clik" (did you mean click?)`},
		{"ours", `{ "title": "x", "steps": [{ "type": "repeat" }] }`, `no step of the type "repeat"`},
		{"unknown key", "{ \"title\": \"x\", \"steps\": [\n { \"type\": \"hover\", \"selectors\": [\"a\"], \"offset\": 1 }] }", `rec.json:2:41: steps[0].offset: unknown key "offset"`},
		{"no selectors", `{ "title": "x", "steps": [{ "type": "click", "offsetX": 1, "offsetY": 1 }] }`, `the key "selectors" is required`},
		{"popup", `{ "title": "x", "steps": [{ "type": "close", "target": "https://pop.test/" }] }`, "only the target main can be driven"},
		{"custom", `{ "title": "x", "steps": [{ "type": "customStep", "name": "mine", "parameters": {} }] }`, `there is no custom step "mine"`},
		{"custom with mistakes", `{ "title": "x", "steps": [{ "type": "customStep", "name": "waybill.pdf", "parameters": { "format": "A9" } }] }`, "want one of Letter"},
		{"key", `{ "title": "x", "steps": [{ "type": "keyDown", "key": "Entr" }] }`, `there is no key "Entr" (did you mean Enter?)`},
		{"event", `{ "title": "x", "steps": [{ "type": "close", "assertedEvents": [{ "type": "load" }] }] }`, "want one of navigation"},
		{"expression", `{ "title": "x", "steps": [{ "type": "waitForExpression" }] }`, `the key "expression" is required`},
	} {
		dir := t.TempDir()
		if err := os.WriteFile(filepath.Join(dir, "rec.json"), []byte(c.src), 0o600); err != nil {
			t.Fatal(err)
		}
		text := "waybill: v1\nname: test\nstages:\n  - source:\n  - execute: { steps: rec.json }\n"
		plan, problems := pipeline.Load(filepath.Join(dir, "p.yaml"), []byte(text), pipeline.NewSet(execute.Def(), pipelinetest.SourceDef(pipelinetest.NewSource())))
		if plan != nil || !strings.Contains(problems.Error(), c.want) {
			t.Errorf("%s: got %v, want %q", c.name, problems, c.want)
		}
	}
	_, problems := load("steps: none.json")
	if len(problems) != 1 || !strings.Contains(problems[0].Error(), `test.yaml:6:14: stages[1].execute.steps: the recording "none.json" cannot be read: no such file`) {
		t.Errorf("a missing recording: %v", problems)
	}
}
