package cron

import (
	"encoding/json"
	"sync"
	"time"

	"github.com/waybill-dev/waybill/pipeline"
	"github.com/waybill-dev/waybill/stages/claim/internal/local"
)

// ticks makes one item at a time.
type ticks struct {
	config
	journal *local.Journal // nil without a checkpoint

	mu      sync.Mutex
	last    time.Time // ticks up to here are done with
	busy    bool      // an item has not ended
	resumed *tick     // from an earlier run that did not end it
	old     []string  // what the journal need not know any more after the next end
}

// tick is the body of an item.
type tick struct {
	Time   time.Time `json:"time"`
	Missed int       `json:"missed,omitempty"`
}

var _ local.Records = (*ticks)(nil)

// id names an item for its tick.
func (k tick) id() string { return k.Time.Format(time.RFC3339) }

// resume goes on where the checkpoint stands: with the tick that was not ended,
// else with what has been missed since the last one. A new checkpoint begins
// now.
func (t *ticks) resume(j *local.Journal) error {
	t.journal = j
	standings := j.Standings()
	if len(standings) == 0 {
		t.old = []string{startID}
		return t.take(startID, tick{Time: t.last.UTC()})
	}
	var latest time.Time
	for _, st := range standings {
		var k tick
		if err := json.Unmarshal(st.Data, &k); err != nil || k.Time.IsZero() {
			return pipeline.Fail("bad-checkpoint", "the checkpoint's entry %q is no tick", st.ID)
		}
		if k.Time.After(latest) {
			latest = k.Time
		}
		if st.Ended || st.ID == startID {
			t.old = append(t.old, st.ID)
		} else {
			t.resumed = &k
		}
	}
	if t.last = latest; t.catchUp == "none" {
		t.last = time.Now()
	}
	return nil
}

// startID stands for the moment of the first start.
const startID = "start"

// take writes a tick to the journal, before it is handed out.
func (t *ticks) take(id string, k tick) error {
	if t.journal == nil {
		return nil
	}
	data, err := json.Marshal(k)
	if err != nil {
		return err
	}
	return t.journal.Take(local.Standing{ID: id, Data: data})
}

// Next returns the item that is due, if there is one.
func (t *ticks) Next() (*local.Record, error) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.busy {
		return nil, nil
	}
	k := t.resumed
	if k == nil {
		if k = t.due(time.Now()); k == nil {
			return nil, nil
		}
		if err := t.take(k.id(), *k); err != nil {
			return nil, err
		}
	}
	body, err := json.Marshal(k)
	if err != nil {
		return nil, err
	}
	t.resumed, t.busy = nil, true
	if k.Time.After(t.last) {
		t.last = k.Time
	}
	id := k.id()
	return &local.Record{Item: pipeline.NewItem{ID: id, Body: body}, Where: id, Keep: body,
		Ended: func(pipeline.Outcome) { t.ended(*k) }}, nil
}

// due returns the tick to hand out now, or nil. The caller holds the lock.
func (t *ticks) due(now time.Time) *tick {
	next := t.when.next(t.last)
	if next.IsZero() || next.After(now) {
		return nil
	}
	if t.catchUp == "all" {
		return &tick{Time: next.UTC()}
	}
	k := tick{}
	if every := t.when.every; every > 0 { // a second's ticks of a year are many
		k.Missed = int(now.Sub(next) / every)
		k.Time = next.Add(time.Duration(k.Missed) * every).UTC()
		return &k
	}
	for ; !next.IsZero() && !next.After(now); next = t.when.next(next) {
		if !k.Time.IsZero() {
			k.Missed++
		}
		k.Time = next.UTC()
	}
	return &k
}

// ended makes room for the next tick. The checkpoint needs the latest only.
func (t *ticks) ended(k tick) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.busy = false
	if t.catchUp == "none" {
		t.last = time.Now()
	}
	if t.journal == nil {
		return
	}
	_ = t.journal.Forget(t.old...) // if this fails, more is known than need be
	t.old = []string{k.id()}
}

// Coming tells the time of the next tick.
func (t *ticks) Coming() (int64, time.Time) {
	t.mu.Lock()
	defer t.mu.Unlock()
	switch {
	case t.resumed != nil:
		return 1, time.Now()
	case t.busy:
		return 0, time.Time{}
	}
	next := t.when.next(t.last)
	if !next.After(time.Now()) {
		return 1, next
	}
	return 0, next
}

func (t *ticks) Close() error { return nil }
