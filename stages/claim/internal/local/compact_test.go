package local

import (
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"sync"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/waybill-dev/waybill/pipeline"
)

// fill writes many items of which each tenth is kept, each hundredth is open.
func fill(t *testing.T, j *Journal, n int) {
	t.Helper()
	var wg sync.WaitGroup
	for w := range 4 {
		wg.Go(func() {
			for i := w; i < n; i += 4 {
				id := fmt.Sprintf("i%04d", i)
				err := errors.Join(j.Take(Standing{ID: id, Data: json.RawMessage(`{"n":1}`)}), j.note(false, line{Did: didClaim, ID: id}))
				end := line{Did: didEnd, ID: id, Result: pipeline.Succeeded, Digest: "sha256:x"}
				if i%10 == 0 {
					end.Data = json.RawMessage(`{"kept":true}`)
				}
				if i%100 != 0 {
					err = errors.Join(err, j.note(true, end))
				}
				if err != nil {
					t.Error(err)
				}
			}
		})
	}
	wg.Wait()
}

func byID(j *Journal) map[string]Standing {
	out := map[string]Standing{}
	for _, st := range j.Standings() {
		out[st.ID] = st
	}
	return out
}

// A compacted checkpoint says what the long one said, while others write to it,
// and goes on being ours alone.
func TestCompaction(t *testing.T) {
	const n = 1000
	path := filepath.Join(t.TempDir(), "ckpt")
	j, err := OpenLiveJournal(path, "test:x")
	if err != nil {
		t.Fatal(err)
	}
	j.least, j.floor = 10_000, 10_000
	fill(t, j, n)
	info, err := os.Stat(path)
	if err != nil || info.Size() > 100_000 {
		t.Errorf("the checkpoint has %d bytes, error %v; it was not compacted", info.Size(), err)
	}
	if _, err := OpenLiveJournal(path, "test:x"); pipeline.CodeOf(err) != "checkpoint-busy" {
		t.Errorf("opened twice: %v", err)
	}
	want := byID(j)
	if len(want) != n/10 {
		t.Errorf("%d items are known, want %d", len(want), n/10)
	}
	if err := j.Close(); err != nil {
		t.Fatal(err)
	}
	for round := range 2 { // as it is, and compacted once more
		j, err = OpenLiveJournal(path, "test:x")
		if err != nil {
			t.Fatal(err)
		}
		if d := cmp.Diff(want, byID(j)); d != "" || j.claims != n {
			t.Errorf("round %d: %d claims (-want +got):\n%s", round, j.claims, d)
		}
		if p := j.of("i0100"); p.attempts != 1 || !p.open || p.ended {
			t.Errorf("round %d: what is open is %+v", round, p)
		}
		j.least = 0
		if err := errors.Join(j.compactIfGrown(), j.Close()); err != nil {
			t.Fatal(err)
		}
	}
	if left, _ := filepath.Glob(filepath.Join(filepath.Dir(path), "*")); len(left) != 1 {
		t.Errorf("left behind: %v", left)
	}
}

// The order of the items survives, so that those that wait are claimed in it.
func TestStandingsOrder(t *testing.T) {
	path := filepath.Join(t.TempDir(), "ckpt")
	j, err := OpenLiveJournal(path, "test:x")
	if err != nil {
		t.Fatal(err)
	}
	var want []string
	for i := range 50 {
		id := fmt.Sprint("i", (i*7)%50)
		want = append(want, id)
		if err := j.Take(Standing{ID: id, Data: json.RawMessage("1")}); err != nil {
			t.Fatal(err)
		}
	}
	j.least = 0
	for range 2 {
		var got []string
		for _, st := range j.Standings() {
			got = append(got, st.ID)
		}
		if d := cmp.Diff(want, got); d != "" {
			t.Errorf("(-want +got):\n%s", d)
		}
		if err := errors.Join(j.compactIfGrown(), j.Close()); err != nil {
			t.Fatal(err)
		}
		if j, err = OpenLiveJournal(path, "test:x"); err != nil {
			t.Fatal(err)
		}
	}
	if err := errors.Join(j.Forget(want...), j.Close()); err != nil {
		t.Fatal(err)
	}
	if j, err = OpenLiveJournal(path, "test:x"); err != nil || len(j.Standings()) != 0 {
		t.Errorf("after all was forgotten: error %v", err)
	}
	_ = j.Close()
}

// A one-pass checkpoint and a live one are not taken for each other.
func TestFormatsApart(t *testing.T) {
	path := filepath.Join(t.TempDir(), "ckpt")
	j, err := OpenJournal(path, "test:x", "items")
	if err != nil {
		t.Fatal(err)
	}
	if err := j.Close(); err != nil {
		t.Fatal(err)
	}
	if _, err := OpenLiveJournal(path, "test:x"); pipeline.CodeOf(err) != "bad-checkpoint" {
		t.Errorf("error %v, want bad-checkpoint", err)
	}
}
