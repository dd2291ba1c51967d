package claimtest

import (
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
	"github.com/waybill-dev/waybill/pipeline"
)

// export returns all entries, as text and back: that is how they travel.
func (b *bench) export() []pipeline.Entry {
	b.Helper()
	var out []pipeline.Entry
	err := b.q.Export(b.Context(), pipeline.Filter{}, func(e pipeline.Entry) error {
		text, err := json.Marshal(e)
		if err != nil {
			return err
		}
		var back pipeline.Entry
		out = append(out, back)
		return json.Unmarshal(text, &out[len(out)-1])
	})
	if err != nil {
		b.Fatalf("export: %v", err)
	}
	return out
}

// carried is what an entry keeps on its way into another store.
var carried = cmp.Options{cmpopts.IgnoreFields(pipeline.Entry{}, "Queue", "Token", "Owner", "LeaseUntil"), cmpopts.EquateEmpty()}

// carry takes a queue to another store and back to where it was.
func carry(b *bench, newStore func(t testing.TB) Store) {
	now := b.show(b.enqueue(pipeline.NewItem{ID: "leased", Priority: 9})[0]).Enqueued
	b.enqueue(pipeline.NewItem{ID: "retried", Key: "k", Priority: 8, Body: []byte(`{"n":1}`), Meta: map[string]string{"m": "1"}, MaxAttempts: 3,
		Trace: pipeline.TraceContext{Parent: "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"}},
		pipeline.NewItem{ID: "done", Priority: 7}, pipeline.NewItem{ID: "dead", Priority: 6},
		pipeline.NewItem{ID: "behind", Key: "k", Deadline: now.Add(2 * time.Hour), IdempotencyKey: "x", IdempotencyTTL: pipeline.Duration(time.Hour)},
		pipeline.NewItem{ID: "delayed", NotBefore: now.Add(time.Hour)}, pipeline.NewItem{ID: "cancelled", Priority: 5})
	items := b.claim(4)
	b.nack(items[1], pipeline.Release{Cause: errors.New("again")})
	o := pipeline.Outcome{Result: pipeline.Succeeded, Digest: pipeline.DigestOf([]byte("result"))}
	if err := b.q.Ack(b.Context(), items[2], o); err != nil {
		b.Fatal(err)
	}
	b.ack(items[3], pipeline.Dead)
	b.cancel("cancelled")
	entries := b.export()
	var want []pipeline.Entry
	for _, id := range []string{"leased", "retried", "done", "dead", "behind", "delayed", "cancelled"} {
		want = append(want, b.show(id))
	}
	if d := cmp.Diff(want, entries, cmpopts.EquateEmpty()); d != "" {
		b.Fatalf("exported (-shown +exported):\n%s", d)
	}

	there := &bench{T: b.T, store: newStore(b.T)}
	there.q = there.open(pipeline.QueueOptions{})
	there.imports(entries, len(entries))
	want[0].State = pipeline.StateReady // its lease does not travel
	if d := cmp.Diff(want, there.export(), carried); d != "" {
		b.Errorf("in the other store (-want +got):\n%s", d)
	}
	there.wantStats(pipeline.QueueStats{Ready: 5, Delayed: 1, Done: 1, Dead: 1, Enqueued: 7})
	there.imports(entries, 0) // all are there already
	there.known(pipeline.NewItem{IdempotencyKey: "x"}, "behind")
	again := there.claim(5)
	if d := cmp.Diff([]string{"leased", "retried", "cancelled"}, ids(again)); d != "" {
		b.Fatalf("claimed in the other store (-want +got):\n%s", d)
	}
	there.wantCondemned(again[2], pipeline.CodeCancelled, 0)
	if it := again[1]; it.Attempt != 2 || it.MaxAttempts != 3 || string(it.Input) != `{"n":1}` || it.Meta["m"] != "1" || it.Trace != items[1].Trace {
		b.Errorf("claimed %+v, want it as it was", it)
	}
	there.ack(again[1], pipeline.Succeeded)
	if it := there.one(); it.ID != "behind" {
		b.Errorf("claimed %s, want the next of the key", it.ID)
	}
}

func (b *bench) imports(entries []pipeline.Entry, want int) {
	b.Helper()
	if n, err := b.q.Import(b.Context(), entries); n != want || err != nil {
		b.Fatalf("imported %d of %d entries, error %v; want %d", n, len(entries), err, want)
	}
}

// foreignEntries: what another driver, or a person with an editor, has written.
func foreignEntries(b *bench) {
	at := time.Date(2024, 2, 29, 12, 0, 0, 123456789, time.FixedZone("", 3600))
	b.enqueue(pipeline.NewItem{ID: "known", Body: []byte(`"mine"`), IdempotencyKey: "x"})
	b.imports([]pipeline.Entry{
		{ID: "b", Queue: "afar", State: pipeline.StateLeased, Token: 1 << 62, Owner: "nobody", Enqueued: at, LeaseUntil: at, Attempts: 2, Priority: 3},
		{ID: "known", State: pipeline.StateDead, Enqueued: at, Body: []byte(`"theirs"`)},
		{ID: "a", State: pipeline.StateReady, Enqueued: at, Body: []byte(`1`), IdempotencyKey: "x"},
		{ID: "z", State: pipeline.StateDead, Enqueued: at, Ended: at, Result: pipeline.Dead,
			History: []pipeline.Event{{At: at, Attempt: 1, What: "dead", Kind: "permanent", Code: "odd", Error: "it was"}}},
	}, 3)
	b.wantStats(pipeline.QueueStats{Ready: 3, Dead: 1, Enqueued: 4})
	b.known(pipeline.NewItem{IdempotencyKey: "x"}, "known") // whose it was before
	if e := b.show("known"); string(e.Body) != `"mine"` {
		b.Errorf("an import replaced an item: %+v", e)
	}
	if e := b.show("z"); len(e.History) != 1 || e.History[0].Code != "odd" || e.Error != "it was" {
		b.Errorf("the imported dead one is %+v", e)
	}
	items := b.claim(5)
	if d := cmp.Diff([]string{"b", "known", "a"}, ids(items)); d != "" {
		b.Fatalf("claimed (-want +got):\n%s", d)
	}
	if it := items[0]; it.Attempt != 3 || !it.Enqueued.Equal(at.Truncate(time.Millisecond)) {
		b.Errorf("attempt %d of %v, want the third of %v", it.Attempt, it.Enqueued, at)
	}
}

// badEntries: all of a call or none.
func badEntries(b *bench) {
	tools := b.q
	good := pipeline.Entry{ID: "good", State: pipeline.StateReady, Enqueued: time.Now()}
	for name, spoil := range map[string]func(e *pipeline.Entry){
		"no id":         func(e *pipeline.Entry) { e.ID = "" },
		"id twice":      func(e *pipeline.Entry) { e.ID = "good" },
		"bad state":     func(e *pipeline.Entry) { e.State = "odd" },
		"bad priority":  func(e *pipeline.Entry) { e.Priority = 10 },
		"body too long": func(e *pipeline.Entry) { e.Body = fmt.Appendf(nil, "%q", strings.Repeat("x", pipeline.MaxItemBody)) },
		"bad body":      func(e *pipeline.Entry) { e.Body = []byte(`{"a":`) },
	} {
		bad := pipeline.Entry{ID: "bad", State: pipeline.StateReady, Enqueued: time.Now()}
		spoil(&bad)
		if n, err := tools.Import(b.Context(), []pipeline.Entry{good, bad}); n != 0 || err == nil {
			b.Errorf("%s: imported %d, error %v", name, n, err)
		}
		b.wantStats(pipeline.QueueStats{})
	}
}

// exportPages: more entries than a page, in their order, until the reader has
// enough.
func exportPages(b *bench) {
	const n = 1100
	b.enqueue(numbered("i", n, pipeline.NewItem{})...)
	var got []string
	for _, e := range b.export() {
		got = append(got, e.ID)
	}
	if len(got) != n || got[n-1] != fmt.Sprint("i", n-1) || !slices.IsSortedFunc(got, func(a, b string) int { return len(a) - len(b) }) {
		b.Errorf("exported %d entries, the last is %s; want %d in their order", len(got), got[len(got)-1], n)
	}
	enough, seen := errors.New("enough"), 0
	err := b.q.Export(b.Context(), pipeline.Filter{}, func(pipeline.Entry) error {
		if seen++; seen == 10 {
			return enough
		}
		return nil
	})
	if !errors.Is(err, enough) || seen != 10 {
		b.Errorf("the export went on to %d entries, error %v; want the reader's after 10", seen, err)
	}
}
