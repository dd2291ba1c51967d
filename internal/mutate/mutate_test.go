package main

import (
	"slices"
	"strings"
	"testing"
)

// TestTableFits: every change of the table is still possible, and every guard is
// left out of every driver.
func TestTableFits(t *testing.T) {
	r := runner{root: "../..", dir: t.TempDir()}
	drivers := map[string][]string{}
	for _, m := range table() {
		if _, err := r.overlay(m); err != nil {
			t.Error(err)
		}
		drivers[m.guard] = append(drivers[m.guard], m.driver)
	}
	for guard, got := range drivers {
		if !slices.Equal(got, []string{"sqlite", "mongodb", "nats"}) {
			t.Errorf("the guard %q is left out of %v", guard, got)
		}
	}
}

func TestApply(t *testing.T) {
	for _, tc := range []struct{ text, want string }{
		{"if a && b {", "if a {"},
		{"if c {", ""},
		{"if a && b || a && b {", ""},
	} {
		got, err := change{old: "a && b", new: "a"}.apply(tc.text)
		if got != tc.want || (err == nil) != (tc.want != "") {
			t.Errorf("%s: %q, error %v; want %q", tc.text, got, err, tc.want)
		}
	}
}

func TestPattern(t *testing.T) {
	got := pattern([]string{"TestConformance/one of a key, in order", "TestConformance/renewal", "TestClock"})
	if want := "^(TestConformance|TestConformance|TestClock)$/^(one_of_a_key,_in_order|renewal)$"; got != want {
		t.Errorf("%s, want %s", got, want)
	}
}

func TestDeepest(t *testing.T) {
	for output, want := range map[string]string{
		"--- FAIL: TestA (0.1s)\n    --- FAIL: TestA/part (0.1s)\n        x_test.go:1: no\nFAIL": "TestA/part",
		"# package\nx.go:1: undefined: y\nFAIL [build failed]":                                   "",
		"panic: test timed out after 2m0s":                                                       "timeout",
	} {
		if got := deepest(output); got != want {
			t.Errorf("%q in %q, want %q", got, strings.ReplaceAll(output, "\n", "|"), want)
		}
	}
}
