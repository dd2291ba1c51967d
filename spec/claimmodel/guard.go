package claimmodel

import "math/bits"

// Guard is a set of conditions of the protocol.
type Guard uint16

// The conditions, one bit each.
const (
	TokenCheck Guard = 1 << iota
	LeasedCheck
	AttemptsInClaim
	StoreClock
	ClaimIfReady
	OneLeaseRule
	ReleaseIfHeld
	RenewIfHeld
	AckAgain
	AckAgainSame
	DeadlineApart
	UniqueKey
	KeyTurn
	CancelTakesLease
	RecallFirst
	LooksVoided
)

// Description says what a guard is and what happened where it was missing.
type Description struct {
	Guard
	Name    string
	Without string // what is done instead, when it is left out
	Lesson  string // the bug of a real system
}

// Guards lists all guards, in their order.
func Guards() []Description {
	return []Description{
		{TokenCheck, "token", "ack, nack and renew ask for the id only", "a worker whose lease was lost ended the item under its successor"},
		{LeasedCheck, "leased", "ack, nack and renew ask for the token, not for the state", "a write that was repeated undid what had happened in between"},
		{AttemptsInClaim, "attempts", "an attempt is counted when the worker gives the item back", "the limit was never reached, and poison items circled for ever"},
		{StoreClock, "clock", "leases are given and reaped by the clock of each worker", "a machine whose clock was fast took the others' leases"},
		{ClaimIfReady, "ready", "a claim takes what it has found, without looking again", "two workers ran one item"},
		{OneLeaseRule, "one rule", "a second reaper goes by the time of the claim", "two lease rules in two places, of 2 and of 3 minutes"},
		{ReleaseIfHeld, "release", "giving back has no condition", "a late release freed somebody else's claim; a shutdown freed all claims"},
		{RenewIfHeld, "renewal", "renewing has no condition", "a whole document was written back, over a running claim"},
		{AckAgain, "ack again", "an acknowledgement that was written before is refused", "work that was done was reported as lost, and done again"},
		{AckAgainSame, "same ack", "any acknowledgement of what has ended succeeds", "a worker believed in an outcome that nobody had written"},
		{DeadlineApart, "deadline", "the deadline is the end of the lease", "an old item flapped every second"},
		{UniqueKey, "unique", "look for the idempotency key, then insert", "check-then-insert made duplicates"},
		{KeyTurn, "turn", "whose turn it is is asked when finding, not when claiming", "a prefetched batch broke the order of a key"},
		{CancelTakesLease, "cancel", "cancelling marks the item and leaves its lease", "what was cancelled succeeded"},
		{RecallFirst, "recall", "a retry makes the item ready, and then has the turn passed on", "a retry was killed half-way, and a younger item of the key ran before the older one"},
		{LooksVoided, "overtaken", "who found an item to be next gives it the turn although an older one was retried since", "in none: this exploration found it"},
	}
}

func (g Guard) has(one Guard) bool { return bits.OnesCount16(uint16(g&one)) > 0 }
