package mongodb_test

import (
	"fmt"
	"testing"

	"github.com/waybill-dev/waybill/pipeline"
	"github.com/waybill-dev/waybill/stages/claim/mongodb"
)

// TestTurnIsKept: an enqueue looks for the head of a key while the older item is
// leased, and comes to its own; before it gives that the turn, the worker gives
// the older one back and dies at once. The older one is first all the same.
func TestTurnIsKept(t *testing.T) {
	t.Parallel()
	for at := 1; at <= 3; at++ {
		t.Run(fmt.Sprint("before write ", at), func(t *testing.T) {
			url := emptyStore(t)
			o := pipeline.QueueOptions{Create: true}
			q := mustOpen(t, url, o)
			if _, err := q.Enqueue(t.Context(), []pipeline.NewItem{{ID: "older", Key: "k"}}); err != nil {
				t.Fatal(err)
			}
			mortal, late := &wire{}, &wire{}
			worker, err := open(mongodb.Driver(mongodb.WithDialer(mortal)), withOptions(url, "serverSelectionTimeoutMS=500"), o)
			if err != nil {
				t.Fatal(err)
			}
			defer worker.Close()
			mongodb.NoReaper(worker) // it would write, too
			older, err := worker.Claim(t.Context(), 1)
			if err != nil || len(older) != 1 {
				t.Fatalf("claimed %v, error %v", older, err)
			}
			producer, err := open(mongodb.Driver(mongodb.WithDialer(late)), url, o)
			if err != nil {
				t.Fatal(err)
			}
			defer producer.Close()
			var disturbed error
			late.before(at, func() {
				mortal.arm(2, true)
				disturbed = worker.Nack(t.Context(), older[0], pipeline.Release{})
			})
			if _, err := producer.Enqueue(t.Context(), []pipeline.NewItem{{ID: "younger", Key: "k"}}); err != nil {
				t.Fatal(err)
			}
			if disturbed != nil {
				t.Fatal(disturbed) // it was given back: that much is written
			}
			if late.writes() < at {
				t.Fatalf("the enqueue has %d writes only", late.writes())
			}
			got, err := q.Claim(t.Context(), 1)
			if err == nil && len(got) == 0 { // the dead could not pass the turn on
				if _, err := q.Reap(t.Context()); err != nil {
					t.Fatal(err)
				}
				got, err = q.Claim(t.Context(), 1)
			}
			if err != nil || len(got) != 1 || got[0].ID != "older" {
				t.Errorf("claimed %v, error %v; want the older one", got, err)
			}
		})
	}
}
