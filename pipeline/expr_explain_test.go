package pipeline_test

import (
	"strings"
	"testing"

	"github.com/waybill-dev/waybill/pipeline"
)

// What is wrong with an expression is said in the words of a pipeline file.
func TestExprMessages(t *testing.T) {
	for src, want := range map[string]string{
		`item.key = "a"`:      `unexpected "="`,
		`item.priority`:       "must be true or false, got a number",
		`item.id`:             "must be true or false, got text",
		`[1, 2]`:              "must be true or false, got a list",
		`{"a": 1}`:            "must be true or false, got a mapping",
		`item`:                "must be true or false, got the item",
		`item.meta.x > 3`:     "invalid operation: > (mismatched types text and a number)",
		`not item.id`:         "invalid operation: not (mismatched type text)",
		`int([1]) == 2`:       "invalid argument for int (a list)",
		`item.priority.x > 1`: "a number has no field x",
		`upper(3) == "x"`:     "cannot use a number as argument (text) to call upper",
	} {
		_, err := pipeline.CompileCondition(src)
		if err == nil || !strings.HasPrefix(err.Error(), want) {
			t.Errorf("%s: %v, want %s", src, err, want)
		}
	}
	for src, want := range map[string]string{
		`item.body.n + "x"`:             "invalid operation: a number + text",
		`item.body.list + 1`:            "invalid operation: a list + a number",
		`item.body.n.y`:                 "cannot fetch y from a number",
		`upper(item.body.n)`:            "want text, got a number",
		`len(item.body.n)`:              "invalid argument for len (a number)",
		`join([1])`:                     "join: element 0 is a number, not text",
		`item.artifacts["no.png"].size`: `no artifact no.png (ask first: "name" in item.artifacts)`,
		`item.artifacts.none.digest`:    "no artifact none",
	} {
		e, err := pipeline.CompileExpr(src)
		if err != nil {
			t.Errorf("%s: %v", src, err)
			continue
		}
		if v, err := e.Eval(sampleItem()); err == nil || !strings.Contains(err.Error(), ": "+want) {
			t.Errorf("%s: %v, %v, want %s", src, v, err, want)
		}
	}
}

// A hint goes with the commonest slip.
func TestAssignmentHint(t *testing.T) {
	_, problems := load(t, claimLine+"  - work: { use: x }\n    when: item.key = \"a\"\n")
	if len(problems) != 1 || problems[0].Hint != "did you mean ==?" {
		t.Errorf("%v, want a hint", problems)
	}
}
