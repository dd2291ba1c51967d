package execute_test

import (
	"bytes"
	"encoding/json"
	"maps"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/waybill-dev/waybill/cdp"
	"github.com/waybill-dev/waybill/cdp/cdptest/stepsite"
	"github.com/waybill-dev/waybill/pipeline"
	"github.com/waybill-dev/waybill/pipeline/pipelinetest"
	"github.com/waybill-dev/waybill/stages/execute"
)

// docExample is an example of docs/steps.md: steps, and the fields of the body
// that they set.
type docExample struct {
	name, steps, body string
}

var (
	docHeading = regexp.MustCompile("^### `(\\w+)`$")
	docMarker  = regexp.MustCompile(`^<!-- example(?:: (\w+))? -->$`)
)

// docExamples reads the page.
func docExamples(t *testing.T) (out []docExample) {
	t.Helper()
	page, err := os.ReadFile("../../docs/steps.md")
	if err != nil {
		t.Fatal(err)
	}
	heading, marked, fence := "", false, ""
	for line := range strings.Lines(string(page)) {
		line = strings.TrimSuffix(line, "\n")
		switch m := docHeading.FindStringSubmatch(line); {
		case fence != "" && line == "```":
			fence = ""
		case fence == "```yaml":
			out[len(out)-1].steps += line + "\n"
		case fence == "```json":
			out[len(out)-1].body += line + "\n"
		case line == "```json":
			fence = line
		case line == "```yaml":
			if !marked {
				t.Fatalf("docs/steps.md has YAML that no test runs, after %q", heading)
			}
			fence, marked = line, false
		case m != nil:
			heading = m[1]
		case docMarker.MatchString(line):
			name := docMarker.FindStringSubmatch(line)[1]
			if name == "" {
				name = heading
			}
			out, marked = append(out, docExample{name: name}), true
		}
	}
	return out
}

// loadIn loads a pipeline that lies in a folder.
func loadIn(t *testing.T, dir, config string) *execute.Config {
	t.Helper()
	text := "waybill: v1\nname: test\nstages:\n  - source:\n  - execute:\n"
	for line := range strings.Lines(config) {
		text += "      " + line
	}
	plan, problems := pipeline.Load(filepath.Join(dir, "test.yaml"), []byte(text), pipeline.NewSet(execute.Def(), pipelinetest.SourceDef(pipelinetest.NewSource())))
	if len(problems) > 0 {
		t.Fatal(problems)
	}
	cfg := plan.Stages[1].Config.(execute.Config)
	return &cfg
}

// runIn runs steps of a pipeline in a folder for an item.
func runIn(t *testing.T, pool *cdp.Pool, dir, config string, it *pipeline.Item) error {
	t.Helper()
	s := execute.New(*loadIn(t, dir, config), pipelinetest.Env(t))
	execute.SetPool(s, pool)
	return s.Process(t.Context(), it)
}

func indent(text string) string {
	return "  " + strings.ReplaceAll(strings.TrimSpace(text), "\n", "\n  ") + "\n"
}

// TestStepExamples runs each example of docs/steps.md; their assertions, the
// fields and the artifacts are what the page says.
func TestStepExamples(t *testing.T) {
	pool, site := shared.Pool(t), stepsite.Serve(t)
	dir := t.TempDir()
	if err := os.Mkdir(filepath.Join(dir, "uploads"), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(dir, "uploads", "sketch.txt"), []byte("A drawing."), 0o600); err != nil {
		t.Fatal(err)
	}
	seen := map[string]bool{}
	for _, e := range docExamples(t) {
		seen[e.name] = true
		t.Run(e.name, func(t *testing.T) {
			t.Parallel()
			if !strings.Contains(e.steps, "assert:") && !strings.Contains(e.steps, "expect:") {
				t.Error("the example proves nothing")
			}
			given := map[string]any{"site": site, "name": "Grace", "order": true}
			it := pipelinetest.Item(maps.Clone(given))
			if err := runIn(t, pool, dir, "steps:\n"+indent(e.steps), it); err != nil {
				t.Fatal(err)
			}
			checkBody(t, it, given, e.body)
			for _, a := range it.Artifacts {
				checkArtifact(t, a)
			}
			for _, name := range regexp.MustCompile(`\b(?:as|html|mhtml|pdf|screenshot|console): (\w+\.\w+)`).FindAllStringSubmatch(e.steps, -1) {
				if it.Artifact(name[1]) == nil {
					t.Errorf("there is no artifact %s", name[1])
				}
			}
		})
	}
	for _, name := range execute.Names() {
		if !seen[name] {
			t.Errorf("docs/steps.md has no example of %s", name)
		}
	}
}

func checkBody(t *testing.T, it *pipeline.Item, given map[string]any, added string) {
	t.Helper()
	want := maps.Clone(given)
	if added != "" {
		value, err := pipeline.DecodeJSON([]byte(added))
		if err != nil {
			t.Fatal(err)
		}
		maps.Copy(want, value.(map[string]any))
	}
	got, err := it.Body.Value()
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("body (-docs +got):\n%s", diff)
	}
}

// checkArtifact looks for what each kind of artifact of the examples begins with
// or holds.
func checkArtifact(t *testing.T, a pipeline.Artifact) {
	t.Helper()
	want := map[string]struct{ media, begin, hold string }{
		"page.html":    {"text/html; charset=utf-8", "<!DOCTYPE html>", "Sextant"},
		"page.mhtml":   {"multipart/related", "From: <Saved by Blink>", "Sextant"},
		"page.pdf":     {"application/pdf", "%PDF-", "%%EOF"},
		"page.png":     {"image/png", "\x89PNG", "IEND"},
		"table.png":    {"image/png", "\x89PNG", "IEND"},
		"whole.jpg":    {"image/jpeg", "\xff\xd8", "\xff\xd9"},
		"console.json": {pipeline.MediaJSON, "{", "list ready"},
		"report.csv":   {"text/csv; charset=utf-8", "name,price", "Sextant,148"},
		"again.csv":    {"text/csv; charset=utf-8", "name,price", "Sextant,148"},
		"export.txt":   {"text/plain; charset=utf-8", "made in the page", ""},
	}[a.Name]
	if a.MediaType != want.media || !bytes.HasPrefix(a.Data, []byte(want.begin)) || !bytes.Contains(a.Data, []byte(want.hold)) {
		t.Errorf("%s is %s: %.80q...", a.Name, a.MediaType, a.Data)
	}
}

// The page's table of what differs from step to step cannot name a step that is
// not there.
func TestStepHeadingsAreSteps(t *testing.T) {
	for _, e := range docExamples(t) {
		if e.name != "common" && e.name != "selectors" && !slices.Contains(execute.Names(), e.name) {
			t.Errorf("there is no step %s", e.name)
		}
		if e.body != "" && !json.Valid([]byte(e.body)) {
			t.Errorf("%s: %s", e.name, e.body)
		}
	}
}
