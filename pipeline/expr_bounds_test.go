package pipeline_test

import (
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/waybill-dev/waybill/pipeline"
)

func evaluate(t *testing.T, src string, it *pipeline.Item) (any, error) {
	t.Helper()
	e, err := pipeline.CompileExpr(src)
	if err != nil {
		t.Fatalf("%s: %v", src, err)
	}
	return e.Eval(it)
}

// A text cannot grow without end, whatever makes it.
func TestExprTextIsBounded(t *testing.T) {
	it := &pipeline.Item{ID: strings.Repeat("x", 20_000), Body: pipeline.JSONBody(map[string]any{"long": strings.Repeat("y", 1<<20)})}
	for _, src := range []string{
		`reduce(1..26, #acc + #acc, "x")`,
		`replace(item.id, "", item.id)`,
		`replace(item.body.long, "y", item.id)`,
		`join(map(1..100, item.body.long))`,
		`join(map(1..900, "."), item.id)`,
	} {
		if v, err := evaluate(t, src, it); err == nil || !strings.Contains(err.Error(), "an expression makes at most 16777216") {
			t.Errorf("%s: %d bytes and error %.100v, want a refusal", src, len(v.(string)), err)
		}
	}
}

func TestExprTextFunctions(t *testing.T) {
	for src, want := range map[string]any{
		`replace("aaa", "a", "bb")`:             "bbbbbb",
		`replace("aaa", "a", "bb", 2)`:          "bbbba",
		`replace("aaa", "a", "b", item.body.n)`: "bbb",
		`replace("aaa", "a", "")`:               "",
		`replace("aa", "", "-")`:                "-a-a-",
		`join(["a", "b"], "-")`:                 "a-b",
		`join(split("a b", " "))`:               "ab",
		`join([])`:                              "",
		`"a" + "b"`:                             "ab",
		`item.body.n + 1`:                       4,
		`item.body.n + 0.5`:                     3.5,
		`item.id + string(item.body.n)`:         sampleItem().ID + "3",
		`sum(map(1..3, # + item.body.n))`:       15,
	} {
		if v, err := evaluate(t, src, sampleItem()); err != nil || !cmp.Equal(v, want) {
			t.Errorf("%s = %v, %v, want %v", src, v, err, want)
		}
	}
}

// Whether there is an artifact can be asked.
func TestExprArtifactPresence(t *testing.T) {
	for src, want := range map[string]any{
		`"none" in item.artifacts`:          false,
		`item.artifacts["none"]?.size ?? 0`: 0,
		`item.artifacts["none"] == nil`:     true,
		`"page.png" in item.artifacts`:      true,
		`item.artifacts["page.png"].size`:   3,
	} {
		if v, err := evaluate(t, src, sampleItem()); err != nil || !cmp.Equal(v, want) {
			t.Errorf("%s = %v, %v, want %v", src, v, err, want)
		}
	}
}
