package feed

import "time"

// sleep waits to be woken, and reports whether it was by the clock. One of the
// sleeping carriers watches it: for the next claim, or for a worker that stays
// away.
func (q *Feed) sleep(c *carrier) (ticked bool) {
	var clock <-chan time.Time
	brisk := q.brisk
	if q.sleeper == nil && (brisk || !q.claiming && !q.due) {
		q.sleeper = c
		wait := stall
		if !brisk {
			wait = time.Until(q.wakeAt)
		}
		t := time.NewTimer(wait)
		defer t.Stop()
		clock = t.C
	}
	c.idle = true
	q.idlers = append(q.idlers, c)
	q.mu.Unlock()
	q.Quiet.Block()
	select {
	case <-c.wake:
	case <-clock:
		ticked = true
	}
	q.mu.Lock()
	q.waking = false
	if q.sleeper == c {
		q.sleeper = nil
	}
	switch {
	case !c.idle && ticked: // woken in the same moment: already counted
		<-c.wake
	case c.idle: // by the clock
		q.unlist(c)
		q.Quiet.Unblock(1)
	}
	if ticked && !brisk {
		q.due = true
	}
	return ticked
}

// Wake makes a claim due now: the source may have something to give. While claims
// are paused it changes nothing.
func (q *Feed) Wake() {
	q.mu.Lock()
	defer q.mu.Unlock()
	if q.over || time.Now().Before(q.paused) {
		return
	}
	q.due = true
	q.wakeOne()
}

// wakeOne wakes a carrier unless one is waking up already: that one will look
// for more work itself, and wake the next if there is some.
func (q *Feed) wakeOne() {
	if n := len(q.idlers); n > 0 && !q.waking && !q.brisk {
		q.waking = true
		q.wake(q.idlers[n-1])
	}
}

// wake makes a sleeping carrier look again. It watches the clock no longer, or
// it would be woken, and counted, a second time before it has run.
func (q *Feed) wake(c *carrier) {
	if q.sleeper == c {
		q.sleeper = nil
	}
	q.unlist(c)
	q.Quiet.Unblock(1)
	c.wake <- struct{}{}
}

func (q *Feed) wakeAll() {
	for len(q.idlers) > 0 {
		q.wake(q.idlers[len(q.idlers)-1])
	}
}

func (q *Feed) unlist(c *carrier) {
	c.idle = false
	for i := len(q.idlers) - 1; i >= 0; i-- {
		if q.idlers[i] == c {
			q.idlers = append(q.idlers[:i], q.idlers[i+1:]...)
			return
		}
	}
}
