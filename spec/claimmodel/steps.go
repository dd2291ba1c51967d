package claimmodel

import "fmt"

// step is one that somebody can take. Its label is made only for a trace.
type step struct {
	next   state
	broken string
	label  func() string
}

// steps calls yield for each step that is possible.
func (m Model) steps(s state, yield func(step)) {
	for w := range m.Workers {
		m.workerSteps(s, w, yield)
	}
	for i := range s.items {
		m.itemSteps(s, i, yield)
	}
	for p := range s.producers {
		m.producerSteps(s, p, yield)
	}
	if s.stored {
		for p := range s.settlers {
			m.settlerSteps(s, p, yield)
		}
	}
	next := s
	next.tick()
	if next != s {
		yield(step{next: next, label: func() string { return "the clock ticks" }})
	}
}

// itemSteps are those of reapers and operators.
func (m Model) itemSteps(s state, i int, yield func(step)) {
	try := func(label string, f func(*state) bool) {
		next := s
		if f(&next) {
			yield(step{next: next, label: func() string { return label + " " + name(i) }})
		}
	}
	try("the reaper takes back", func(s *state) bool { return s.reap(i, 0) })
	if m.Without.has(StoreClock) {
		try("the fast worker's reaper takes back", func(s *state) bool { return s.reap(i, skew) })
	}
	if m.Without.has(OneLeaseRule) {
		try("the other reaper takes back", func(s *state) bool { return s.reapByClaim(i) })
	}
	if m.World == OneItem {
		try("an operator cancels", func(s *state) bool { return s.cancel(i, m.Without) })
	}
	try("an operator retries", func(s *state) bool { return s.retry(i, m.Without) })
	if s.stored {
		try("an operator voids the looks at what is younger than", func(s *state) bool { return s.voids(i) })
		try("an operator sees that one has the turn that goes before", func(s *state) bool { return s.sees(i, m.Without) })
		try("an operator makes ready, behind another,", func(s *state) bool { return s.standBehind(i) })
	}
}

// producerSteps enqueue the item: each producer until it was told that it is
// there.
func (m Model) producerSteps(s state, p int, yield func(step)) {
	next := s
	switch s.producers[p] {
	case unborn:
		next.producers[p] = checked
		if s.items[0].state != absent {
			next.producers[p] = told
		}
		yield(step{next: next, label: func() string { return fmt.Sprintf("producer %d looks for the idempotency key", p+1) }})
	case checked:
		broken := next.insert(m.Without)
		next.producers[p] = told
		yield(step{next, broken, func() string { return fmt.Sprintf("producer %d inserts", p+1) }})
		next.producers[p] = unborn
		yield(step{next, broken, func() string { return fmt.Sprintf("producer %d inserts, and does not hear of it", p+1) }})
	}
}

// workerSteps are those of one worker. It may stand still between any two of
// them for as long as the others like.
func (m Model) workerSteps(s state, w int, yield func(step)) {
	self := s.workers[w]
	say := func(next state, broken, what string) {
		yield(step{next, broken, func() string { return fmt.Sprintf("worker %d %s", w+1, what) }})
	}
	if self.phase == idle {
		for i := range s.items {
			if it := &s.items[i]; it.state == ready && s.claimable(i) {
				next := s
				next.workers[w] = worker{phase: found, item: uint8(i)}
				say(next, "", "finds "+name(i))
			}
		}
		return
	}
	gone := s
	gone.workers[w] = worker{}
	say(gone, "", "dies")
	switch self.phase {
	case found:
		m.ask(s, w, write.claim, "claims", worker{}, nil, say)
	case holding:
		m.ask(s, w, write.renew, "renews", self, nil, say)
		for _, end := range []uint8{done, dead} {
			if end == done && self.condemned {
				continue
			}
			acking := self
			acking.phase, acking.end = unsure, end
			m.ask(s, w, write.ack, "acknowledges as "+stateNames[end], acking, &acking, say)
		}
		m.giveBack(s, w, say)
	case unsure:
		m.ask(s, w, write.ack, "acknowledges again as "+stateNames[self.end], self, &self, say)
		m.giveBack(s, w, say)
	case unsureOff:
		m.ask(s, w, write.nack, "gives back again", self, &self, say)
	}
}

// giveBack is the end of a worker that still holds an item, or of an attempt.
func (m Model) giveBack(s state, w int, say func(state, string, string)) {
	self := s.workers[w]
	for _, refund := range []bool{true, false} {
		if !refund && s.items[self.item].attempts > maxAttempts {
			continue // the bound of the space
		}
		off := self
		off.phase, off.refund = unsureOff, refund
		what := "gives back"
		if refund {
			what = "gives back with refund"
		}
		m.ask(s, w, write.nack, what, off, &off, say)
	}
}

// ask sends a write to the store. The answer comes, and the worker goes on, or
// without one it is as unanswered says. asking, if it is set, is the worker while
// it asks; a claim and a renewal leave it as it is.
func (m Model) ask(s state, w int, ask func(write) (bool, string), what string, unanswered worker, asking *worker, say func(state, string, string)) {
	next := s
	if asking != nil {
		next.workers[w] = *asking
	}
	ok, broken := ask(write{&next, m.Without, w})
	heard, deaf := next, next
	switch {
	case !ok:
		heard.workers[w] = worker{}
		what += ", which is refused"
	case asking != nil:
		heard.workers[w] = worker{}
	}
	say(heard, broken, what)
	unanswered.current = unanswered.phase > found && next.workers[w].current
	deaf.workers[w] = unanswered
	if unanswered.phase == idle {
		deaf.workers[w] = worker{}
	}
	say(deaf, broken, what+", and does not hear of it")
}
