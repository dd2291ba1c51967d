package main

import (
	"encoding/json"
	"os"
	"testing"
)

func TestWithTables(t *testing.T) {
	yes, no := true, false
	report := Report{Date: "2026-11-22 05:27:00", Go: "go1.26.8", CPUs: 2, Results: []Result{
		{Subject: "a", Name: "floor", Value: 40.92, Unit: "ns"},
		{Subject: "a", Name: "mine", Value: 120.5, Unit: "ns", Target: atMost(100), Met: &no, AA: 1.02},
		{Subject: "a", Name: "mine, ratio", Value: 2.945, Unit: "ratio", RatioTo: "floor", Target: atMost(3), Met: &yes},
		{Subject: "a", Name: "mine, rate", Value: 7, Unit: "items/s"},
		{Subject: "a", Name: "mine, server", Value: 8, Unit: "ns"},
		{Subject: "a", Name: "mine, server, ratio", Value: 1.5, Unit: "ratio", RatioTo: "floor, server"},
		{Subject: "a", Name: "mine, more", Value: 1.234567e6, Unit: "ns", Target: atMost(5), Met: &yes, AtLeast: true},
		{Subject: "b", Name: "alone", Value: 1, Unit: "s", Rounds: 7},
	}}
	const page = "text\n<!-- table: a -->\nold\n<!-- end of table -->\nmore\n<!-- table: b -->\n<!-- end of table -->\nend\n"
	const want = `text
<!-- table: a -->
| what | value | ratio | A/A | target |
|---|---|---|---|---|
| floor | 40.92 ns |  |  |  |
| mine | 120.5 ns; rate 7 items/s; server 8 ns | 2.945 x floor; server 1.5 x | 1.02 | at most 100 ns: missed; at most 3 x: met |
| mine, more | 1235000 ns |  |  | at least 5 ns: met |

2026-11-22 05:27:00, go1.26.8, 2 CPUs, 0 rounds.
<!-- end of table -->
more
<!-- table: b -->
| what | value | ratio | A/A | target |
|---|---|---|---|---|
| alone | 1 s |  |  |  |

2026-11-22 05:27:00, go1.26.8, 2 CPUs, 7 rounds.
<!-- end of table -->
end
`
	got, err := withTables([]byte(page), report)
	if err != nil || string(got) != want {
		t.Errorf("error %v, page:\n%s\nwant:\n%s", err, got, want)
	}
	for name, bad := range map[string]string{
		"a subject without a table": "<!-- table: a -->\n<!-- end of table -->\n",
		"a table without an end":    "<!-- table: a -->\n<!-- table: b -->\n<!-- end of table -->\n",
		"a table of nothing":        page + "<!-- table: c -->\n<!-- end of table -->\n",
	} {
		if got, err := withTables([]byte(bad), report); err == nil {
			t.Errorf("%s: no error, but\n%s", name, got)
		}
	}
}

// TestPageIsCurrent: nobody copies figures by hand.
func TestPageIsCurrent(t *testing.T) {
	var report Report
	text, err := os.ReadFile("results.json")
	if err != nil {
		t.Fatal(err)
	}
	if err := json.Unmarshal(text, &report); err != nil {
		t.Fatal(err)
	}
	page, err := os.ReadFile("../docs/benchmarks.md")
	if err != nil {
		t.Fatal(err)
	}
	want, err := withTables(page, report)
	if err != nil {
		t.Fatal(err)
	}
	if string(want) != string(page) {
		t.Error("docs/benchmarks.md has other figures than bench/results.json: run go generate ./bench")
	}
}
