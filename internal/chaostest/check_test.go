package chaostest

import (
	"fmt"
	"slices"

	"github.com/waybill-dev/waybill/pipeline"
)

// evidence is what a round has left.
type evidence struct {
	items      []pipeline.NewItem // in the order of their enqueue, all confirmed
	entries    []pipeline.Entry   // what the queue has; those that shown asked for with their history
	executions map[string][]execution
}

// matter is all that is known of one item.
type matter struct {
	item       pipeline.NewItem
	entry      pipeline.Entry
	executions []execution
}

// troubled reports whether an item needs its history for the check: nothing has
// to be explained of one that was claimed once.
func troubled(e pipeline.Entry, executions []execution) bool {
	return e.State != pipeline.StateDone || e.Attempts != 1 || len(executions) != 1
}

// check returns the violations of the rules in doc.go.
func (ev evidence) check() (out []string) {
	entries, known := map[string]pipeline.Entry{}, map[string]bool{}
	for _, e := range ev.entries {
		if _, twice := entries[e.ID]; twice {
			out = append(out, "twice: "+e.ID)
		}
		entries[e.ID] = e
	}
	after := map[string]execution{} // by key: the acknowledged one that ended last
	for _, item := range ev.items {
		entry, found := entries[item.ID]
		if !found {
			out = append(out, fmt.Sprintf("lost: %s was confirmed and is not there", item.ID))
			continue
		}
		known[item.ID] = true
		c := matter{item, entry, ev.executions[item.ID]}
		out = append(out, c.check()...)
		if item.Key == "" {
			continue
		}
		for _, x := range c.executions {
			if older := after[item.Key]; x.from < older.to {
				out = append(out, fmt.Sprintf("order: %s of %s was executed before an older one of its key had ended: %+v; %+v of %+v", item.ID, item.Key, x, entries[older.ID], ev.executions[older.ID]))
			}
		}
		if x, ok := c.acknowledged(); ok {
			if x.to > after[item.Key].to {
				after[item.Key] = x
			}
		}
	}
	for id := range entries {
		if known[id] {
			continue
		}
		out = append(out, fmt.Sprintf("sum: %s was never enqueued", id))
	}
	return out
}

func (c matter) check() (out []string) {
	note := func(rule, format string, args ...any) {
		out = append(out, fmt.Sprintf("%s: %s: %s; entry %+v; executions %+v", rule, c.item.ID, fmt.Sprintf(format, args...), c.entry, c.executions))
	}
	switch c.entry.State {
	case pipeline.StateDone:
		if x, ok := c.acknowledged(); !ok || x.digest != c.entry.Digest || c.entry.Result != pipeline.Succeeded {
			note("outcome", "no execution under its last token has this outcome")
		}
	case pipeline.StateDead:
		if c.item.MaxAttempts == 0 || !slices.ContainsFunc(c.entry.History, func(e pipeline.Event) bool { return e.What == "dead" && e.Code == "attempts-exhausted" }) {
			note("attempts", "it is dead without cause")
		}
	default:
		note("lost", "it has not ended")
	}
	c.checkTokens(note)
	c.checkOverlaps(note)
	return out
}

// acknowledged returns the last answered execution under the item's last token.
func (c matter) acknowledged() (last execution, ok bool) {
	for _, x := range c.executions {
		if c.entry.State == pipeline.StateDone && x.Token == c.entry.Token && x.answered && x.to > last.to {
			last, ok = x, true
		}
	}
	return last, ok
}

func (c matter) checkTokens(note func(rule, format string, args ...any)) {
	lives := map[int64]string{}
	for _, x := range c.executions {
		if x.Token > c.entry.Token {
			note("token", "%d is greater than the last one", x.Token)
		}
		if life, known := lives[x.Token]; known && life != x.Life {
			note("token", "%d was given to two processes", x.Token)
		}
		lives[x.Token] = x.Life
		if c.item.MaxAttempts > 0 && x.Attempt > c.item.MaxAttempts {
			note("attempts", "attempt %d of %d", x.Attempt, c.item.MaxAttempts)
		}
	}
	claims := len(lives)
	if _, executed := lives[c.entry.Token]; executed {
		claims-- // accounted for by the end
	}
	if n := c.count(0, "retry", "released", "expired"); claims > n {
		note("unexplained", "%d claims have come to nothing, and the history has %d", claims, n)
	}
}

// count counts the events of these kinds, of one attempt if it is not 0.
func (c matter) count(attempt int, kinds ...string) (n int) {
	for _, e := range c.entry.History {
		if slices.Contains(kinds, e.What) && (attempt == 0 || e.Attempt == attempt) {
			n++
		}
	}
	return n
}

func (c matter) checkOverlaps(note func(rule, format string, args ...any)) {
	for i, a := range c.executions {
		for _, b := range c.executions[i+1:] { // b began later
			if a.to != 0 && a.to < b.from {
				continue
			}
			older := a
			if b.Token < a.Token {
				older = b
			}
			switch {
			case a.Token == b.Token:
				note("token", "%d was executed at two places at a time", a.Token)
			case c.count(older.Attempt, "expired") == 0:
				note("stolen", "the lease of %d had not expired", older.Token)
			}
		}
	}
}
