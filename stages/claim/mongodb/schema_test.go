package mongodb_test

import (
	"strings"
	"testing"

	"github.com/waybill-dev/waybill/pipeline"
	"github.com/waybill-dev/waybill/stages/claim/mongodb"
)

// TestIndexes: a missing one is made again; one that is not unique, as it must
// be, is an error that names it, and nothing is claimed.
func TestIndexes(t *testing.T) {
	url := emptyStore(t)
	mustOpen(t, url, pipeline.QueueOptions{Create: true})
	mongodb.DropIndex(t, url, "waybill_lane")
	mustOpen(t, url, pipeline.QueueOptions{})
	if names := mongodb.Indexes(t, url); !strings.Contains(names, "waybill_lane") {
		t.Errorf("the missing index was not made again: %s", names)
	}
	mongodb.SpoilIndex(t, url, "waybill_turn")
	_, err := open(mongodb.Driver(), url, pipeline.QueueOptions{})
	if pipeline.CodeOf(err) != "bad-indexes" || !strings.Contains(err.Error(), "waybill_turn") {
		t.Errorf("error %v, want bad-indexes that names waybill_turn", err)
	}
}

// TestMigration: a queue of schema version 1 gets the lanes of version 2, in pages,
// and loses the indexes that nothing reads any more.
func TestMigration(t *testing.T) {
	url := emptyStore(t)
	q := mustOpen(t, url, pipeline.QueueOptions{Create: true})
	want := map[string]int{}
	for _, key := range []string{"", "a", "b", "c", "d", "e", "f"} {
		it := pipeline.NewItem{ID: "of-" + key, Key: key}
		enqueue(t, q, it)
		want[it.ID] = pipeline.LaneOf(key)
	}
	mongodb.MakeVersion1(t, url)
	mongodb.SetPage(q, 3)
	if err := mongodb.Migrate(t.Context(), q); err != nil {
		t.Fatal(err)
	}
	for id, lane := range mongodb.Lanes(t, url) {
		if id == "of-" && lane < pipeline.QueueLanes || id != "of-" && lane != want[id] {
			t.Errorf("%s is in lane %d", id, lane)
		}
	}
	if names := mongodb.Indexes(t, url); strings.Contains(names, "waybill_claim") {
		t.Errorf("an obsolete index is left: %s", names)
	}
	own := pipeline.LaneSet(1) << pipeline.LaneOf("c")
	mine := mustOpen(t, url, pipeline.QueueOptions{Lanes: func() pipeline.LaneSet { return own }})
	items, err := mine.Claim(t.Context(), 10)
	if err != nil || len(items) != 2 {
		t.Errorf("claimed %d of one lane and of those without a key, error %v; want 2", len(items), err)
	}
}

// TestNewerSchema: a process that meets documents of a later release stops, also
// if it had the queue open before.
func TestNewerSchema(t *testing.T) {
	url := emptyStore(t)
	q := mustOpen(t, url, pipeline.QueueOptions{Create: true})
	enqueue(t, q, pipeline.NewItem{})
	mongodb.SetSchema(t, url, "default", 99)
	if _, err := open(mongodb.Driver(), url, pipeline.QueueOptions{}); pipeline.CodeOf(err) != "newer-queue" {
		t.Errorf("open: error %v, want newer-queue", err)
	}
	if items, err := q.Claim(t.Context(), 1); len(items) != 0 || pipeline.CodeOf(err) != "newer-queue" {
		t.Errorf("claimed %d, error %v; want newer-queue", len(items), err)
	}
}
