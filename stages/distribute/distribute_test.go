package distribute

import (
	"fmt"
	"slices"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/waybill-dev/waybill/pipeline"
	"github.com/waybill-dev/waybill/pipeline/pipelinetest"
)

func expr(t *testing.T, src string) *pipeline.Expr {
	t.Helper()
	e, err := pipeline.CompileExpr(src)
	if err != nil {
		t.Fatal(err)
	}
	return e
}

func make4(t *testing.T, by, key string) pipeline.Distributor {
	t.Helper()
	c := Config{Lanes: 4, By: by}
	if key != "" {
		c.Key = expr(t, key)
	}
	d, err := New(t.Context(), c, pipeline.Env{})
	if err != nil {
		t.Fatal(err)
	}
	if d.Lanes() != 4 {
		t.Fatalf("%d lanes, want 4", d.Lanes())
	}
	return d
}

func place(t *testing.T, d pipeline.Distributor, it *pipeline.Item, load ...int) pipeline.Placement {
	t.Helper()
	if load == nil {
		load = make([]int, d.Lanes())
	}
	p, err := d.Place(it, load)
	if err != nil {
		t.Fatal(err)
	}
	if p.Lane < 0 || p.Lane >= d.Lanes() {
		t.Fatalf("lane %d of %d", p.Lane, d.Lanes())
	}
	return p
}

func TestRoundRobin(t *testing.T) {
	for _, by := range []string{ByRoundRobin, ByPriority} {
		d := make4(t, by, "")
		var got []int
		for range 6 {
			p := place(t, d, &pipeline.Item{Key: "k"})
			if p.Key != "" {
				t.Errorf("%s: placed under the key %q", by, p.Key)
			}
			got = append(got, p.Lane)
		}
		if diff := cmp.Diff([]int{0, 1, 2, 3, 0, 1}, got); diff != "" {
			t.Errorf("%s (-want +got):\n%s", by, diff)
		}
		if d.ByPriority() != (by == ByPriority) {
			t.Errorf("%s: ByPriority is %v", by, d.ByPriority())
		}
	}
}

func TestLeastLoaded(t *testing.T) {
	d := make4(t, ByLeastLoaded, "")
	for _, load := range [][]int{{3, 1, 2, 3}, {0, 5, 5, 5}, {9, 9, 9, 8}, {2, 1, 2, 2}} {
		for range 5 {
			if p := place(t, d, &pipeline.Item{}, load...); load[p.Lane] != slices.Min(load) {
				t.Errorf("load %v: lane %d", load, p.Lane)
			}
		}
	}
	seen := map[int]bool{}
	for range 4 {
		seen[place(t, d, &pipeline.Item{}).Lane] = true
	}
	if len(seen) != 4 {
		t.Errorf("lanes of equal load do not take turns: %v", seen)
	}
}

func TestByKey(t *testing.T) {
	d := make4(t, ByKey, "item.meta.host")
	a := &pipeline.Item{ID: "a", Meta: map[string]string{"host": "a.example.com"}}
	first := place(t, d, a, 0, 0, 0, 0)
	if first.Key != "a.example.com" {
		t.Errorf("key %q", first.Key)
	}
	if again := place(t, make4(t, ByKey, "item.meta.host"), a, 9, 9, 9, 9); again != first {
		t.Errorf("placed at %+v, then at %+v", first, again)
	}
	for name, it := range map[string]*pipeline.Item{"absent": {ID: "x"}, "empty": {ID: "x", Meta: map[string]string{"host": ""}}} {
		_, err := d.Place(it, make([]int, 4))
		if err == nil || pipeline.KindOf(err) != pipeline.Permanent || pipeline.CodeOf(err) != "no-key" {
			t.Errorf("%s key: error %v, want a permanent one with code no-key", name, err)
		}
	}
}

// TestLaneOf pins lanes: they must be the same in every process and release.
func TestLaneOf(t *testing.T) {
	got := map[string]int{}
	for _, key := range []string{"", "a", "b", "example.com", "www.example.com"} {
		got[key] = LaneOf(key, 8)
	}
	if diff := cmp.Diff(pinned, got); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
	const keys, lanes = 16000, 16
	var load [lanes]int
	moved := 0
	for i := range keys {
		key := fmt.Sprintf("host%d.example.com", i)
		lane := LaneOf(key, lanes)
		load[lane]++
		if next := LaneOf(key, lanes+1); next != lane {
			moved++
			if next != lanes {
				t.Fatalf("%s moved from lane %d to %d, an old one", key, lane, next)
			}
		}
	}
	// The deviation of a fair throw is 31 of 1000.
	for lane, n := range load {
		if n < 850 || n > 1150 {
			t.Errorf("lane %d has %d of %d keys: %v", lane, n, keys, load)
		}
	}
	if want := keys / (lanes + 1); moved < want*8/10 || moved > want*12/10 {
		t.Errorf("one lane more moved %d of %d keys, want about %d", moved, keys, want)
	}
	if LaneOf("x", 1) != 0 {
		t.Error("one lane is lane 0")
	}
}

func TestConfig(t *testing.T) {
	source := pipelinetest.SourceDef(pipelinetest.NewSource())
	for config, want := range map[string][]string{
		"":                                     nil,
		" { lanes: 1 }":                        nil,
		" { by: key, key: item.key }":          nil,
		" { by: key }":                         {"missing-key"},
		" { by: least_loaded, key: item.key }": {"unused-key"},
		" { by: random }":                      {pipeline.CodeBadValue},
		" { lanes: 0 }":                        {pipeline.CodeOutOfRange},
		" { lanes: 1025, by: priority }":       {pipeline.CodeOutOfRange},
	} {
		text := "waybill: v1\nname: x\nstages:\n  - source:\n  - distribute:" + config + "\n"
		_, problems := pipeline.Load(t.TempDir()+"/p.yaml", []byte(text), pipeline.NewSet(source, Def()))
		var got []string
		for _, p := range problems {
			got = append(got, p.Code)
			if p.Line != 5 {
				t.Errorf("distribute:%s: %+v, want line 5", config, p)
			}
		}
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("distribute:%s (-want +got):\n%s", config, diff)
		}
	}
	if d := Def(); d.Kind != "distribute" || d.Role != pipeline.RoleDistributor {
		t.Errorf("definition %+v", d)
	}
}

func BenchmarkLaneOf(b *testing.B) {
	b.ReportAllocs()
	for b.Loop() {
		LaneOf("www.example.com", 16)
	}
}

var pinned = map[string]int{"": 6, "a": 2, "b": 6, "example.com": 2, "www.example.com": 7}
