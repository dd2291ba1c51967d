package pipeline_test

import (
	"errors"
	"fmt"
	"sync"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/waybill-dev/waybill/pipeline"
)

func sampleItem() *pipeline.Item {
	return &pipeline.Item{
		ID: "i1", Key: "k", Queue: "pages", Priority: 5, Attempt: 2, Token: 1 << 52,
		Body: pipeline.RawBody([]byte(`{"url":"https://Example.com:8443/a?q=1&q=2","n":3,"list":[1,2,3],"nested":{"b":1,"a":2}}`), ""),
		Meta: map[string]string{"host": "example.com", "status": "200"},
		Artifacts: []pipeline.Artifact{
			{Name: "page.png", MediaType: "image/png", Data: []byte("png")},
		},
	}
}

func TestExprEval(t *testing.T) {
	for src, want := range map[string]any{
		`item.id + "-" + item.queue`:                             "i1-pages",
		`item.priority * 2 + item.attempt`:                       12,
		`item.token`:                                             int64(1 << 52),
		`item.token > item.attempt`:                              true,
		`item.body.n`:                                            3,
		`item.body.list[1]`:                                      2,
		`item["body"].n == 3`:                                    true,
		`item.body.missing`:                                      nil,
		`item.body.missing?.deeper ?? "none"`:                    "none",
		`item.meta.host`:                                         "example.com",
		`item.meta.missing == ""`:                                true,
		`item.artifacts["page.png"].size`:                        3,
		`item.artifacts["page.png"].digest`:                      string(pipeline.DigestOf([]byte("png"))),
		`"page.png" in item.artifacts`:                           true,
		`host(item.body.url)`:                                    "example.com",
		`path(item.body.url)`:                                    "/a",
		`path("https://example.com")`:                            "/",
		`query(item.body.url, "q")`:                              "1",
		`keys(item.body.nested)`:                                 []string{"a", "b"},
		`keys(item.meta)`:                                        []string{"host", "status"},
		`toJSON(item.body.nested)`:                               `{"a":2,"b":1}`,
		`fromJSON("{\"n\": 7}").n`:                               7,
		`sha256("abc")`:                                          "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad",
		`filter(item.body.list, # > 1) | map(# * 10) | sum()`:    50,
		`len(item.body.list) > 2 && any(item.body.list, # == 3)`: true,
		`item.meta.status matches "^2[0-9]{2}$"`:                 true,
		`int("7") + round(1.4)`:                                  float64(8),
		`let b = item.body; b.n`:                                 3,
		`upper(trim(" x "))`:                                     "X",
	} {
		e, err := pipeline.CompileExpr(src)
		if err != nil {
			t.Errorf("%s: %v", src, err)
			continue
		}
		got, err := e.Eval(sampleItem())
		if err != nil {
			t.Errorf("%s: %v", src, err)
		}
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("%s (-want +got):\n%s", src, diff)
		}
	}
}

// TestExprRefused: what is not on the list, not in the types or too large does
// not compile.
func TestExprRefused(t *testing.T) {
	long := "1"
	for range 600 {
		long += "+1"
	}
	for _, src := range []string{
		"", " ", "now()", `date("2026-01-01")`, `duration("1s")`, `repeat("x", 9)`, "values(item.meta)", "toPairs(item.meta)",
		"item.idd", "itm", "item.meta.host.name", `item.artifacts["a"].name`, "item.priority + item.id", "len(", long,
		"item.Body", "env", "$env", `$env["item"].body`, `"` + string(make([]byte, pipeline.MaxExpression)) + `"`,
	} {
		if _, err := pipeline.CompileExpr(src); err == nil {
			t.Errorf("%.60q compiles", src)
		}
	}
	for _, src := range []string{"item.id", "1", `item.meta.x`, "item.priority"} {
		if _, err := pipeline.CompileCondition(src); err == nil {
			t.Errorf("condition %q compiles", src)
		}
	}
}

// TestExprLazyBody: an expression that does not look at the body does not pay
// for decoding it, and does not fail when it is binary.
func TestExprLazyBody(t *testing.T) {
	it := &pipeline.Item{ID: "x", Body: pipeline.RawBody([]byte{0xff, 0xfe}, "")}
	for src, fails := range map[string]bool{"item.id": false, "item.meta": false, "item.body": true, "item": true, "[item][0].body": true} {
		e, err := pipeline.CompileExpr(src)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := e.Eval(it); (err != nil) != fails {
			t.Errorf("%s: %v", src, err)
		}
	}
}

func TestExprText(t *testing.T) {
	for src, want := range map[string]string{"item.id": "i1", "item.body.n": "3", "1.5": "1.5", "true": "true", "1e21": "1000000000000000000000", "item.body.list": "", "item.body.no": ""} {
		e, err := pipeline.CompileExpr(src)
		if err != nil {
			t.Fatal(err)
		}
		got, err := e.Text(sampleItem())
		if got != want || (err != nil) != (want == "") {
			t.Errorf("%s: %q, %v", src, got, err)
		}
	}
}

// TestExprRuntimeError: it is permanent and cites the place in the file, down
// to the column inside the expression.
func TestExprRuntimeError(t *testing.T) {
	plan, problems := load(t, claimLine+"  - work: { use: x }\n    when: item.id == \"i1\" and item.body.n.deep > 1\n")
	if len(problems) > 0 {
		t.Fatal(problems)
	}
	_, err := plan.Stages[1].When.Holds(sampleItem())
	var e *pipeline.Error
	if !errors.As(err, &e) || e.Kind != pipeline.Permanent || e.Code != "expression" {
		t.Fatalf("got %#v", err)
	}
	if e.Pos.Line != 6 || e.Pos.Col < 11+len(`item.id == "i1" and `) {
		t.Errorf("it cites %v", e.Pos)
	}
	c, err := pipeline.CompileCondition("item.body.n")
	if err != nil {
		t.Fatal(err)
	}
	if _, err := c.Holds(sampleItem()); pipeline.KindOf(err) != pipeline.Permanent {
		t.Errorf("a number as a condition: %v", err)
	}
}

func TestExprMemoryBudget(t *testing.T) {
	e, err := pipeline.CompileExpr("map(1..10000000, #)")
	if err != nil {
		t.Fatal(err)
	}
	if _, err := e.Eval(sampleItem()); err == nil {
		t.Error("ten million elements were made")
	}
	if _, err := e.Eval(sampleItem()); err == nil {
		t.Error("the second evaluation succeeded")
	}
}

func TestExprConcurrent(t *testing.T) {
	e, err := pipeline.CompileExpr(`item.id + ":" + string(item.body.n)`)
	if err != nil {
		t.Fatal(err)
	}
	var wg sync.WaitGroup
	for i := range 8 {
		wg.Go(func() {
			for range 100 {
				it := &pipeline.Item{ID: fmt.Sprint(i), Body: pipeline.JSONBody(map[string]any{"n": i})}
				if got, err := e.Eval(it); err != nil || got != fmt.Sprintf("%d:%d", i, i) {
					t.Errorf("item %d: %v, %v", i, got, err)
				}
			}
		})
	}
	wg.Wait()
}

func TestZeroExpressions(t *testing.T) {
	var e *pipeline.Expr
	var tm *pipeline.Template
	if !e.IsZero() || !tm.IsZero() || !new(pipeline.Expr).IsZero() || !new(pipeline.Template).IsZero() {
		t.Error("not zero")
	}
	if v, err := new(pipeline.Template).Eval(sampleItem()); v != nil || err != nil {
		t.Error(v, err)
	}
}

func TestTemplate(t *testing.T) {
	tm, err := pipeline.NewTemplate(map[string]any{
		"whole": "${{ item.body.n }}", "text": "n=${{ item.body.n }}!", "list": []any{1, "${{ item.meta.host }}", nil, true},
		"plain": "no expression", "braces": `${{ {"a": {"b": "}}"}} }}`, "escaped": "$${{ x }}",
	})
	if err != nil {
		t.Fatal(err)
	}
	got, err := tm.Eval(sampleItem())
	if err != nil {
		t.Fatal(err)
	}
	want := map[string]any{
		"whole": 3, "text": "n=3!", "list": []any{1, "example.com", nil, true}, "plain": "no expression",
		"braces": map[string]any{"a": map[string]any{"b": "}}"}}, "escaped": "${{ x }}",
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
	got.(map[string]any)["list"].([]any)[0] = "changed"
	if again, _ := tm.Eval(sampleItem()); again.(map[string]any)["list"].([]any)[0] != 1 {
		t.Error("two evaluations share a list")
	}
	if _, ok := tm.Constant(); ok {
		t.Error("it is not constant")
	}
}

func TestTemplateErrors(t *testing.T) {
	for _, src := range []any{"${{ itm }}", "a ${{ b", []any{"${{ ) }}"}, map[string]any{"k": "${{ }}"}} {
		if _, err := pipeline.NewTemplate(src); err == nil {
			t.Errorf("%v compiles", src)
		}
	}
	tm, err := pipeline.NewTemplate("value: ${{ item.body.list }}")
	if err != nil {
		t.Fatal(err)
	}
	if _, err := tm.Text(sampleItem()); pipeline.CodeOf(err) != "expression" {
		t.Errorf("a list inside text: %v", err)
	}
	constant, err := pipeline.NewTemplate([]any{"a", 1})
	if err != nil {
		t.Fatal(err)
	}
	if v, ok := constant.Constant(); !ok || !cmp.Equal(v, []any{"a", 1}) {
		t.Errorf("Constant = %v, %v", v, ok)
	}
	if _, err := constant.Text(sampleItem()); err == nil {
		t.Error("a list is text")
	}
}

// TestReferencesAreNoCode: a value from the environment that looks like an
// expression stays text.
func TestReferencesAreNoCode(t *testing.T) {
	t.Setenv("PIPELINE_TEST", "${{ item.id }}")
	plan, problems := load(t, claimLine+"  - work: { use: x, with: { a: \"${env:PIPELINE_TEST} ${{ item.key }}\" } }\n")
	if len(problems) > 0 {
		t.Fatal(problems)
	}
	with := plan.Stages[1].Config.(workConfig).With
	got, err := with.Eval(sampleItem())
	if err != nil || !cmp.Equal(got, map[string]any{"a": "${{ item.id }} k"}) {
		t.Errorf("%v, %v", got, err)
	}
	if !cmp.Equal(plan.Secrets, []string{"${{ item.id }}"}) {
		t.Errorf("secrets = %v", plan.Secrets)
	}
}

// TestCompilersKeepNothing: expressions that compile, that do not, and
// conditions do not change what is compiled after them, nor beside them.
func TestCompilersKeepNothing(t *testing.T) {
	it := &pipeline.Item{ID: "7", Priority: 3, Meta: map[string]string{"a": "x"}, Body: pipeline.JSONBody(map[string]any{"n": 4})}
	var wg sync.WaitGroup
	for range 4 {
		wg.Go(func() {
			for range 50 {
				for src, want := range map[string]any{
					"item.body.n + item.priority": 7, "item.id": "7", "item.meta.a == 'x'": true, "filter(1..4, # > 2)": []any{3, 4},
					"item.idd": "item has no field idd", "filter(item.body, {": "unexpected token EOF", "map([1], now())": "unknown name now", "item.id + 1": "invalid operation: + (mismatched types text and a number)",
				} {
					var got any
					if e, err := pipeline.CompileExpr(src); err != nil {
						got = err.Error()
					} else if got, err = e.Eval(it); err != nil {
						t.Error(err)
					}
					if diff := cmp.Diff(want, got); diff != "" {
						t.Errorf("%s: %s", src, diff)
					}
					if _, err := pipeline.CompileCondition("item.id"); err == nil {
						t.Error("text is a condition")
					}
				}
			}
		})
	}
	wg.Wait()
}
