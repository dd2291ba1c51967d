package claimmodel

import "fmt"

// What a driver does whose engine writes one document at a time: whose turn a key
// is stands in the store, and passing it on is a write of its own, of whoever ended
// a lease or of the reaper. Any number of processes do so, and each may stand still
// between its look and its write.

// head returns the oldest item of the key that is live: ready, leased or recalled.
func (s *state) head() (i int, ok bool) {
	for i := range s.items {
		if it := &s.items[i]; it.state == ready || it.state == leased || it.recalled {
			return i, true
		}
	}
	return 0, false
}

// settlerSteps are those of one who passes the turn on.
func (m Model) settlerSteps(s state, p int, yield func(step)) {
	next := s
	self := &next.settlers[p]
	if !self.looked {
		i, ok := s.head()
		if !ok || s.items[i].state == leased || int(s.turnOf) == i {
			return
		}
		*self = settler{looked: true, next: int8(i)}
		yield(step{next: next, label: func() string { return fmt.Sprintf("settler %d sees that %s is next", p+1, name(i)) }})
		return
	}
	i := int(self.next)
	die := next
	die.settlers[p] = settler{}
	yield(step{next: die, label: func() string { return fmt.Sprintf("settler %d dies", p+1) }})
	if s.items[i].recalled && !self.voided && !m.Without.has(LooksVoided) {
		self.voided = true
		next.void(i)
		yield(step{next: next, label: func() string { return fmt.Sprintf("settler %d voids the looks at what is younger", p+1) }})
		return
	}
	void := self.void
	*self = settler{}
	if next.pass(i, void) {
		yield(step{next: next, label: func() string { return fmt.Sprintf("settler %d passes the turn to %s", p+1, name(i)) }})
	}
}

// void makes it in vain if settlers saw that an item after this one is next: the
// first that is not itself recalled, or one before that.
func (s *state) void(i int) {
	for j := i + 1; j < len(s.items); j++ {
		it := &s.items[j]
		if s.voidLooks(j); it.state == ready || it.state == leased {
			return
		}
	}
}

// voidLooks makes what settlers saw of an item void. Each claim does so too: the
// store counts them.
func (s *state) voidLooks(i int) {
	for o := range s.settlers {
		if other := &s.settlers[o]; other.looked && int(other.next) == i {
			other.void = true
		}
	}
}

// pass gives the turn to an item that was seen to be next, or takes it from a
// younger one that could be claimed.
func (s *state) pass(i int, void bool) bool {
	it := &s.items[i]
	holder := int(s.turnOf)
	switch {
	case holder == nobody:
		if void || it.state != ready && !it.recalled {
			return false
		}
		if it.recalled {
			s.revive(i)
		}
		s.turnOf = int8(i)
		return true
	case holder > i && s.items[holder].state == ready:
		s.turnOf = nobody
		return true
	}
	return false
}

// How far an operator is with a recalled item that has not got the turn.
const (
	waiting = iota
	safe    // looks at what is younger are void
	behind  // and another item has the turn that goes first
)

func (s *state) voids(i int) bool {
	it := &s.items[i]
	if !it.recalled || it.readmit != waiting {
		return false
	}
	it.readmit = safe
	s.void(i)
	return true
}

// sees notes that another item has the turn, which is leased or older.
func (s *state) sees(i int, without Guard) bool {
	it, holder := &s.items[i], int(s.turnOf)
	if !it.recalled || it.readmit == behind || it.readmit == waiting && !without.has(LooksVoided) {
		return false
	}
	if holder == nobody || holder > i && s.items[holder].state != leased {
		return false
	}
	it.readmit = behind
	return true
}

// standBehind makes a recalled item ready without the turn.
func (s *state) standBehind(i int) bool {
	if it := &s.items[i]; !it.recalled || it.readmit != behind {
		return false
	}
	s.revive(i)
	return true
}
