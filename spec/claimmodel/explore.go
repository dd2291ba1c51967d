package claimmodel

import "slices"

// World is what there is, and who does what to it. Each is explored to its end;
// all at once would be their product.
type World int

const (
	// OneItem has a deadline, and may be cancelled.
	OneItem World = iota
	// OneKey has two items of one key.
	OneKey
	// OneIdempotencyKey has an item that two producers enqueue, each until it
	// hears of it.
	OneIdempotencyKey
	// StoredTurn has two items of one key whose turn is a field in the store, as in a
	// driver whose engine writes one document at a time.
	StoredTurn
)

// Worlds lists all worlds, by their names.
func Worlds() []string {
	return []string{"one item, with a deadline and cancelled", "two items of one key", "one idempotency key, two producers", "two items of one key, whose turn is stored"}
}

// Model is a world to explore.
type Model struct {
	World World
	// Workers is their number, 1 to 3.
	Workers int
	// Without are the guards that are left out.
	Without Guard
	// Steps bounds the length of the traces that are looked at; 0: it does not.
	Steps int
}

// Result is what was found.
type Result struct {
	// States is how many different ones were reached.
	States int
	// Broken is the invariant that does not hold; empty if all do, everywhere.
	Broken string
	// Trace is a shortest way there.
	Trace []string
}

// Explore visits every state, the nearest first, until an invariant is broken.
func (m Model) Explore() Result {
	m.Workers = min(max(m.Workers, 1), maxWorkers)
	first := m.World.start()
	seen := map[state]int32{first: 0}
	order, from := []state{first}, []int32{-1}
	steps, nearer := 0, int32(1) // how far the state at hand is, and how many are nearer or as near
	for at := int32(0); int(at) < len(order); at++ {
		if at == nearer {
			steps, nearer = steps+1, int32(len(order))
		}
		if m.Steps > 0 && steps == m.Steps {
			break
		}
		var broken *step
		m.steps(order[at], func(s step) {
			if broken != nil {
				return
			}
			if s.broken != "" {
				broken = &s
				return
			}
			if _, known := seen[s.next]; !known {
				seen[s.next] = int32(len(order))
				order, from = append(order, s.next), append(from, at)
			}
		})
		if broken != nil {
			return Result{States: len(order), Broken: broken.broken, Trace: append(m.trace(order, from, at), broken.label())}
		}
	}
	return Result{States: len(order)}
}

// trace returns the labels of the steps that led to a state.
func (m Model) trace(order []state, from []int32, at int32) []string {
	var out []string
	for ; from[at] >= 0; at = from[at] {
		label := ""
		m.steps(order[from[at]], func(s step) {
			if label == "" && s.next == order[at] {
				label = s.label()
			}
		})
		out = append(out, label)
	}
	slices.Reverse(out)
	return out
}
