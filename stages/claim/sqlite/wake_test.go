package sqlite_test

import (
	"path/filepath"
	"testing"

	"github.com/waybill-dev/waybill/pipeline"
	"github.com/waybill-dev/waybill/stages/claim/sqlite"
)

// TestWakes: what makes something claimable wakes all queues of that name which
// the process has open, and nothing else does.
func TestWakes(t *testing.T) {
	driver, path := sqlite.Driver(), filepath.Join(t.TempDir(), "q.db")
	openQueue := func(name string) *sqlite.Queue {
		t.Helper()
		q, err := open(driver, path, pipeline.QueueOptions{Queue: name, Create: true})
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { _ = q.Close() })
		return q
	}
	writer, listener, apart := openQueue("a"), openQueue("a"), openQueue("b")
	woken := func(what string, q *sqlite.Queue, want bool) {
		t.Helper()
		got := false
		select {
		case <-q.Wakes():
			got = true
		default:
		}
		if got != want {
			t.Errorf("%s: woken is %v", what, got)
		}
	}
	check := func(what string, want bool, err error) {
		t.Helper()
		if err != nil {
			t.Fatalf("%s: %v", what, err)
		}
		woken(what, listener, want)
		woken(what+": the other queue", apart, false)
	}
	one := func() *pipeline.Item {
		t.Helper()
		items, err := writer.Claim(t.Context(), 1)
		if err != nil || len(items) != 1 {
			t.Fatalf("claimed %d, error %v", len(items), err)
		}
		return items[0]
	}
	succeeded := pipeline.Outcome{Result: pipeline.Succeeded}

	_, err := writer.Enqueue(t.Context(), []pipeline.NewItem{{ID: "1", Key: "k"}, {ID: "2", Key: "k"}, {ID: "3"}})
	check("enqueue", true, err)
	first := one()
	check("claim", false, nil)
	_, err = writer.Renew(t.Context(), []*pipeline.Item{first})
	check("renewal", false, err)
	check("end of the first of a key", true, writer.Ack(t.Context(), first, succeeded))
	second := one()
	check("end of the last of a key", false, writer.Ack(t.Context(), second, succeeded))
	third := one()
	check("release", true, writer.Nack(t.Context(), third, pipeline.Release{}))
	check("pause", false, writer.Pause(t.Context(), true))
	check("resume", true, writer.Pause(t.Context(), false))
	_, err = writer.Cancel(t.Context(), pipeline.Filter{IDs: []string{"3"}})
	check("cancel", true, err)
	third = one()
	check("end without a key", false, writer.Ack(t.Context(), third, pipeline.Outcome{Result: pipeline.Dead}))
	_, err = writer.Retry(t.Context(), pipeline.Filter{})
	check("retry", true, err)
	_, err = writer.Import(t.Context(), []pipeline.Entry{{ID: "4", State: pipeline.StateReady}})
	check("import", true, err)
	if _, err = writer.Move(t.Context(), pipeline.Filter{IDs: []string{"4"}}, "b"); err != nil {
		t.Fatal(err)
	}
	woken("move", apart, true)
	if err := listener.Close(); err != nil {
		t.Fatal(err)
	}
	_, err = writer.Enqueue(t.Context(), make([]pipeline.NewItem, 1))
	check("enqueue after close", false, err)
}
