package pipeline_test

import (
	"fmt"
	"testing"
	"time"

	"github.com/waybill-dev/waybill/pipeline"
)

func TestRates(t *testing.T) {
	for text, want := range map[string]pipeline.Rate{
		"10/s":   {Count: 10, Per: time.Second},
		"300/m":  {Count: 300, Per: time.Minute},
		"1/10s":  {Count: 1, Per: 10 * time.Second},
		"5/1h":   {Count: 5, Per: time.Hour},
		"2/90s":  {Count: 2, Per: 90 * time.Second},
		"7/50ms": {Count: 7, Per: 50 * time.Millisecond},
	} {
		got, err := pipeline.ParseRate(text)
		if err != nil || got != want {
			t.Errorf("%s: %+v, %v", text, got, err)
		}
		again, err := pipeline.ParseRate(got.String())
		if err != nil || again != want {
			t.Errorf("%s renders as %q", text, got)
		}
	}
	for _, text := range []string{"", "10", "10/", "/s", "0/s", "-1/s", "1.5/s", "1/1.5s", "1/0s", "1/d", "1/1ns", "9999999999/s", "1/-1s"} {
		if r, err := pipeline.ParseRate(text); err == nil {
			t.Errorf("%q is taken for %+v", text, r)
		}
	}
	if every := (pipeline.Rate{Count: 4, Per: time.Second}).Every(); every != 250*time.Millisecond {
		t.Error(every)
	}
}

// TestLimitProblems: limits stand at stages, limit something, and say what is
// wrong at its place.
func TestLimitProblems(t *testing.T) {
	head := "waybill: v1\nname: x\nversion: 3\nstages:\n  - claim: { from: \"sqlite:q.db\" }\n"
	for _, c := range []struct{ text, code, at string }{
		{"  - work: { use: a.wasm }\n    limit: { concurrency: 2, rate: 10/s, per: item.meta.host }\n", "", ""},
		{"  - work: { use: a.wasm }\n    limit: { rate: fast }\n", pipeline.CodeBadRate, "7:20"},
		{"  - work: { use: a.wasm }\n    limit: { per: item.meta.host }\n", pipeline.CodeEmptyLimit, "7:12"},
		{"  - work: { use: a.wasm }\n    limit: { concurrency: 0 }\n", pipeline.CodeOutOfRange, "7:27"},
		{"  - work: { use: a.wasm }\n    limit: { concurency: 1 }\n", pipeline.CodeUnknownKey, "7:14"},
		{"  - work: { use: a.wasm }\n    limit: { concurrency: 1, per: item.metta }\n", pipeline.CodeBadExpression, "7:40"},
		{"    limit: { rate: 1/s }\n  - work: { use: a.wasm }\n", pipeline.CodeBadValue, "6:12"},
	} {
		plan, problems := pipeline.Load("p.yaml", []byte(head+c.text), testSet)
		if c.code == "" {
			if len(problems) > 0 {
				t.Fatalf("%s%v", c.text, problems)
			}
			l := plan.Stages[1].Limit
			if l == nil || l.Concurrency != 2 || l.Rate.String() != "10/s" || l.Per.String() != "item.meta.host" || plan.Version != 3 {
				t.Errorf("%+v, version %d", l, plan.Version)
			}
			continue
		}
		if len(problems) == 0 || problems[0].Code != c.code || fmt.Sprintf("%d:%d", problems[0].Pos.Line, problems[0].Pos.Col) != c.at {
			t.Errorf("%swant %s at %s, got %v", c.text, c.code, c.at, problems)
		}
	}
}
