package main

import (
	"bytes"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// TestMeasure: figures come in the probes' order, medians are of the first
// series, A/A compares the second with it, and a target is met or missed.
func TestMeasure(t *testing.T) {
	answers := func(values ...float64) func() (map[string]float64, error) {
		return func() (map[string]float64, error) {
			v := values[0]
			values = values[1:]
			return map[string]float64{"ns": v, "allocs": 0}, nil
		}
	}
	got, err := measure([]probe{
		{answers(10, 20, 30, 60, 20, 40), []figure{{name: "floor", key: "ns", unit: "ns"}}},
		{answers(50, 50, 150, 150, 60, 60), []figure{
			{name: "mine", key: "ns", unit: "ns", target: atMost(59), ratioTo: "floor"},
			{name: "mine, allocations", key: "allocs", unit: "allocs", target: atMost(0)},
			{name: "mine, rate", key: "ns", unit: "ns", target: atMost(61), atLeast: true}}},
	}, 3)
	if err != nil {
		t.Fatal(err)
	}
	yes, no := true, false
	want := []Result{
		{Name: "floor", Value: 20, Unit: "ns", AA: 2, Rounds: 3},
		{Name: "mine", Value: 60, Unit: "ns", Target: atMost(59), Met: &no, AA: 1, Rounds: 3},
		{Name: "mine, ratio", Value: 5, Unit: "ratio", RatioTo: "floor", AA: 1, Rounds: 3},
		{Name: "mine, allocations", Value: 0, Unit: "allocs", Target: atMost(0), Met: &yes, Rounds: 3},
		{Name: "mine, rate", Value: 60, Unit: "ns", Target: atMost(61), Met: &no, AtLeast: true, AA: 1, Rounds: 3},
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("results (-want +got):\n%s", diff)
	}
	var out bytes.Buffer
	if err := printResults(&out, got); err != nil {
		t.Fatal(err)
	}
	for _, text := range []string{"MISSED: at most 59", "met: at most 0", "MISSED: at least 61", "to: floor"} {
		if !strings.Contains(out.String(), text) {
			t.Errorf("no %q in\n%s", text, &out)
		}
	}
}
