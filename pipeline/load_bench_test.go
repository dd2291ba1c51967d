package pipeline_test

import (
	"fmt"
	"strings"
	"testing"

	"github.com/waybill-dev/waybill/pipeline"
)

// manyStages renders a pipeline with n stages beside its source, with an
// expression each.
func manyStages(n int) []byte {
	var b strings.Builder
	b.WriteString("waybill: v1\nname: many\nstages:\n  - claim: { from: \"sqlite:queue.db\" }\n")
	for i := range n {
		fmt.Fprintf(&b, "  - work:\n      use: kernel-%d.wasm\n      with: { minWords: 20, url: \"${{ item.body.url }}\" }\n"+
			"      limits: { memory: 32MiB, fuel: 200M }\n    when: item.meta.status == \"200\"\n    timeout: 20s\n", i)
	}
	return []byte(b.String())
}

// BenchmarkLoad1000 is `check` of a file with 1,000 stages and 2,000
// expressions.
func BenchmarkLoad1000(b *testing.B) {
	src := manyStages(1000)
	b.SetBytes(int64(len(src)))
	for b.Loop() {
		if _, problems := pipeline.Load("many.yaml", src, testSet); len(problems) > 0 {
			b.Fatal(problems)
		}
	}
}

func BenchmarkCondition(b *testing.B) {
	c, err := pipeline.CompileCondition(`item.meta.status == "200" and item.priority > 3`)
	if err != nil {
		b.Fatal(err)
	}
	it := &pipeline.Item{Priority: 5, Meta: map[string]string{"status": "200"}, Body: pipeline.RawBody([]byte(`{"not":"decoded"}`), "")}
	b.ReportAllocs()
	for b.Loop() {
		if ok, err := c.Holds(it); !ok || err != nil {
			b.Fatal(ok, err)
		}
	}
}

func BenchmarkTemplate(b *testing.B) {
	tmpl, err := pipeline.NewTemplate(map[string]any{"url": "${{ item.body.url }}", "line": "${{ item.id }} of ${{ item.queue }}", "n": 1})
	if err != nil {
		b.Fatal(err)
	}
	it := &pipeline.Item{ID: "1", Queue: "pages", Body: pipeline.JSONBody(map[string]any{"url": "https://example.com/"})}
	b.ReportAllocs()
	for b.Loop() {
		if _, err := tmpl.Eval(it); err != nil {
			b.Fatal(err)
		}
	}
}
