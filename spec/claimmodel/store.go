package claimmodel

// The transitions of the store: each is one atomic write under its condition.
// They return which invariant they break, if any.

// write is a transition that a worker asks for.
type write struct {
	*state
	without Guard
	worker  int
}

func (w write) self() *worker { return &w.workers[w.worker] }
func (w write) item() *item   { return &w.items[w.self().item] }

// holds is the condition of every write of a worker: id, token, leased.
func (w write) holds() bool {
	return (w.self().current || w.without.has(TokenCheck)) && (w.item().state == leased || w.without.has(LeasedCheck))
}

// changes is called by every write of a worker whose condition held.
func (w write) changes() string {
	it := w.item()
	switch {
	case it.ended():
		return "invariant 4: an item that was acknowledged was changed"
	case it.state != leased || int(it.holder) != w.worker || !w.self().current:
		return "invariant 3: a stale write changed something"
	}
	return ""
}

// claim takes the item that the worker has found; it reports whether it got it.
func (w write) claim() (ok bool, broken string) {
	i := int(w.self().item)
	it := w.item()
	if it.state == absent || it.state != ready && !w.without.has(ClaimIfReady) || !w.claimable(i) && !w.without.has(KeyTurn) {
		return false, ""
	}
	switch {
	case it.promised > 0:
		return true, "invariant 2: an item has two live leases"
	case it.ended():
		return true, "invariant 4: an item that was acknowledged came back"
	case !w.turn(i):
		return true, "invariant 6: it is not the item's turn"
	}
	condemned := it.condemned()
	if !condemned {
		if it.expired && it.runs >= maxAttempts {
			return true, "invariant 5: an item ran on after its attempts were used up"
		}
		it.runs++
		it.expired = false
		if !w.without.has(AttemptsInClaim) {
			it.attempts++
		}
	}
	w.give(it)
	for o := range w.workers {
		if other := &w.workers[o]; o != w.worker && other.phase > found && int(other.item) == i {
			other.current, other.condemned = false, false
		}
	}
	w.voidLooks(i)
	*w.self() = worker{phase: holding, item: uint8(i), current: true, condemned: condemned}
	return true, ""
}

// give leases the item to the worker.
func (w write) give(it *item) {
	it.state, it.sinceTake, it.holder, it.promised = leased, 0, int8(w.worker), lease
	it.left = lease + w.clock()
	if w.without.has(DeadlineApart) && it.deadline != none {
		it.left = it.deadline
	}
}

// clock returns by how much the clock that the worker goes by is fast.
func (w write) clock() int8 {
	if w.worker == 0 && w.without.has(StoreClock) {
		return skew
	}
	return 0
}

// renew reports whether the lease goes on.
func (w write) renew() (ok bool, broken string) {
	if !w.holds() && !w.without.has(RenewIfHeld) {
		return false, ""
	}
	broken = w.changes()
	w.give(w.item())
	return true, broken
}

// ack reports whether the item ended as the worker says.
func (w write) ack() (ok bool, broken string) {
	it, self := w.item(), w.self()
	if !w.holds() {
		same := self.current && it.state == self.end
		switch {
		case !it.ended():
			return false, ""
		case !w.without.has(AckAgain) && (same || w.without.has(AckAgainSame)):
			if !same {
				broken = "invariant 4: an acknowledgement that nobody wrote was confirmed"
			}
			return true, broken
		case same: // only the holder of the token can have written it
			broken = "invariant 4: an acknowledgement that was written was refused"
		}
		return false, broken
	}
	broken = w.changes()
	if it.noMore && self.end == done && broken == "" {
		broken = "invariant 7: an item that was cancelled succeeded"
	}
	w.leave(int(self.item), self.end)
	return true, broken
}

// nack gives the item back.
func (w write) nack() (ok bool, broken string) {
	it, self := w.item(), w.self()
	if !w.holds() && !w.without.has(ReleaseIfHeld) {
		return false, ""
	}
	broken = w.changes()
	switch {
	case self.condemned: // the claim counted none
	case w.without.has(AttemptsInClaim) && !self.refund:
		it.attempts++
	case !w.without.has(AttemptsInClaim) && self.refund:
		it.attempts--
	}
	if self.refund && !self.condemned {
		it.runs--
	}
	w.leave(int(self.item), ready)
	return true, broken
}

// reap takes back the leases that have expired. late is by how much the clock is
// fast that it goes by.
func (s *state) reap(i int, fast int8) bool {
	it := &s.items[i]
	if it.state != leased || it.left > fast {
		return false
	}
	s.takeBack(i)
	return true
}

// reapByClaim is the second lease rule, which knows nothing of renewals.
func (s *state) reapByClaim(i int) bool {
	it := &s.items[i]
	if it.state != leased || it.sinceTake < shortLease {
		return false
	}
	s.takeBack(i)
	return true
}

// takeBack leaves the promise: whether it was kept shows at the next claim.
func (s *state) takeBack(i int) {
	it := &s.items[i]
	promised := it.promised
	s.leave(i, ready)
	it.expired, it.promised = true, promised
}

// cancel marks an item that has not ended.
func (s *state) cancel(i int, without Guard) bool {
	it := &s.items[i]
	if it.cancelled || it.state != ready && it.state != leased {
		return false
	}
	it.cancelled, it.noMore = true, true
	if it.state == leased && !without.has(CancelTakesLease) {
		s.leave(i, ready)
	}
	return true
}

// retry makes a dead item ready again. Where the turn is stored it is only recalled,
// and ready when it has its turn or stands behind one that is leased (settle.go).
func (s *state) retry(i int, without Guard) bool {
	it := &s.items[i]
	if it.state != dead || it.recalled {
		return false
	}
	if s.stored && !without.has(RecallFirst) {
		it.recalled = true
		return true
	}
	s.revive(i)
	return true
}

func (s *state) revive(i int) {
	it := &s.items[i]
	left := it.deadline
	if left == 0 {
		left = none
	}
	*it = item{state: ready, deadline: left, holder: nobody}
}

// insert adds the item, unless its idempotency key is known.
func (s *state) insert(without Guard) (broken string) {
	it := &s.items[0]
	if it.state != absent {
		if without.has(UniqueKey) {
			return "invariant 8: an idempotency key has two items"
		}
		return ""
	}
	it.state = ready
	return ""
}
