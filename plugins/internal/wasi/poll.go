package wasi

import "encoding/binary"

// Sizes and offsets of subscriptions and events, WASI preview 1.
const (
	subscriptionSize = 48
	eventSize        = 32
	maxSubscriptions = 1024
	eventClock       = 0
	flagAbsolute     = 1
)

// pollOneoff never waits: sleeping moves the instance's clocks to the earliest
// clock subscription, and reading or writing is always possible.
func pollOneoff(c *call) uint32 {
	in, out, n := c.u32(0), c.u32(1), c.u32(2)
	if n == 0 || n > maxSubscriptions {
		return eInval
	}
	subs, good1 := c.bytes(in, n*subscriptionSize)
	events, good2 := c.bytes(out, n*eventSize)
	if !good1 || !good2 {
		return eFault
	}
	c.w.pay(len(subs))
	first := c.w.earliest(subs)
	ready := 0
	for ; len(subs) > 0; subs = subs[subscriptionSize:] {
		if subs[8] == eventClock && c.w.until(subs) > first {
			continue
		}
		e := events[ready*eventSize:][:eventSize]
		clear(e)
		copy(e[:8], subs[:8]) // user data
		e[10] = subs[8]
		ready++
	}
	c.w.slept += first
	return errno(c.put32(c.u32(3), uint32(ready)))
}

// earliest returns the nanoseconds until the first subscription is ready.
func (w *World) earliest(subs []byte) uint64 {
	first := ^uint64(0)
	for ; len(subs) > 0; subs = subs[subscriptionSize:] {
		if subs[8] != eventClock {
			return 0
		}
		first = min(first, w.until(subs))
	}
	return first
}

// until returns the nanoseconds until a clock subscription is ready.
func (w *World) until(sub []byte) uint64 {
	timeout := binary.LittleEndian.Uint64(sub[24:])
	if binary.LittleEndian.Uint16(sub[40:])&flagAbsolute == 0 {
		return timeout
	}
	now := w.monotonic()
	if binary.LittleEndian.Uint32(sub[16:]) == 0 {
		now = w.realtime()
	}
	if timeout < now {
		return 0
	}
	return timeout - now
}
