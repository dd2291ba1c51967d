package main

import (
	"encoding/json"
	"os"
	"strconv"
	"strings"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
	"github.com/rogpeppe/go-internal/testscript"

	"github.com/waybill-dev/waybill/pipeline"
)

// largeItem writes an item whose body is a text of so many letters: largeitem
// file n.
func largeItem(ts *testscript.TestScript, _ bool, args []string) {
	if len(args) != 2 {
		ts.Fatalf("usage: largeitem file letters")
	}
	n, err := strconv.Atoi(args[1])
	ts.Check(err)
	ts.Check(os.WriteFile(ts.MkAbs(args[0]), []byte(`{"id":"large","body":"`+strings.Repeat("x", n)+"\"}\n"), 0o600))
}

// sameQueue compares two dumps: samequeue a b. What does not travel is who held
// an item.
func sameQueue(ts *testscript.TestScript, _ bool, args []string) {
	if len(args) != 2 {
		ts.Fatalf("usage: samequeue dump dump")
	}
	one, two := readEntries(ts, args[0]), readEntries(ts, args[1])
	if len(one) == 0 {
		ts.Fatalf("%s has no entries", args[0])
	}
	if d := cmp.Diff(one, two, cmpopts.IgnoreFields(pipeline.Entry{}, "Token", "Owner", "LeaseUntil")); d != "" {
		ts.Fatalf("(-%s +%s):\n%s", args[0], args[1], d)
	}
}

func readEntries(ts *testscript.TestScript, name string) (out []pipeline.Entry) {
	for line := range strings.Lines(ts.ReadFile(name)) {
		var e pipeline.Entry
		ts.Check(json.Unmarshal([]byte(line), &e))
		if e.ID != "" { // not the last line
			out = append(out, e)
		}
	}
	return out
}
