package http

import (
	"bytes"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/waybill-dev/waybill/pipeline"
	"github.com/waybill-dev/waybill/stages/claim/internal/local/localtest"
)

// A crash after every write, and in the middle of every one: the next run has
// what was accepted and has not ended, once, in order, and nothing else.
func TestCrashAnywhere(t *testing.T) {
	bubble(t, func(t *testing.T, dir string) {
		o := pipeline.QueueOptions{Dir: dir, Checkpoint: "whole"}
		x := newStation(t, "http:127.0.0.1:80/work", o)
		for i := range 4 {
			x.post(t.Context(), fmt.Sprintf(`{"id":"i%d"}`, i), "Idempotency-Key", fmt.Sprint("k", i%3)) // i3 is i0
			x.post(t.Context(), fmt.Sprintf("{\"id\":\"a%d\"}\n{\"id\":\"b%d\"}\n", i, i))
		}
		for i, it := range x.claim(9) {
			switch i % 3 {
			case 0:
				localtest.End(t, x, it, pipeline.Succeeded)
			case 1:
				if err := x.Nack(t.Context(), it, pipeline.Release{}); err != nil {
					t.Fatal(err)
				}
			}
		}
		x.close()
		whole, err := os.ReadFile(filepath.Join(dir, "whole"))
		if err != nil {
			t.Fatal(err)
		}
		end := 0
		for line := range bytes.Lines(whole) {
			for _, cut := range []int{end + len(line)/2, end + len(line)} {
				if err := os.WriteFile(filepath.Join(dir, "cut"), whole[:cut], 0o644); err != nil {
					t.Fatal(err)
				}
				o.Checkpoint = "cut"
				x := newStation(t, "http:127.0.0.1:80/work", o)
				var got []string
				for _, it := range x.claim(100) {
					got = append(got, it.ID)
				}
				if d := cmp.Diff(unfinished(t, whole[:cut]), got); d != "" {
					t.Errorf("cut at %d of %d (-want +got):\n%s", cut, len(whole), d)
				}
				x.close()
			}
			end += len(line)
		}
	})
}

// unfinished reads from a journal what was accepted and has not ended.
func unfinished(t *testing.T, journal []byte) (ids []string) {
	t.Helper()
	for line := range bytes.Lines(journal) {
		var l struct{ Did, ID string }
		if line[len(line)-1] != '\n' && !json.Valid(line) {
			break // torn
		}
		if err := json.Unmarshal(line, &l); err != nil {
			t.Fatal(err)
		}
		switch l.Did {
		case "take":
			ids = append(ids, l.ID)
		case "end":
			ids = slices.DeleteFunc(ids, func(id string) bool { return id == l.ID })
		}
	}
	return ids
}
