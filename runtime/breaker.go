package runtime

import (
	"errors"
	"sync"
	"time"

	"github.com/waybill-dev/waybill/pipeline"
	"github.com/waybill-dev/waybill/runtime/cluster"
)

// codeBreaker is the code of calls that an open breaker refused.
const codeBreaker = "breaker-open"

// probeWait is how long at least items stay away that an open breaker refused
// while another one is the probe.
const probeWait = 50 * time.Millisecond

// breaker is a circuit breaker around a stage's calls. So many failures in a
// row open it; open, it refuses every call until the cooldown has passed, then
// lets one through as a probe, whose result closes it or opens it again.
// Failures are what an outage looks like (kinds retry, unavailable, bug); a
// permanent failure or a skip is an answer, so it counts as a success; a
// cancelled call says nothing.
type breaker struct {
	limit    int
	cooldown time.Duration

	mu       sync.Mutex
	failures int
	open     bool
	probing  bool
	until    time.Time
}

func newBreaker(c pipeline.BreakerConfig) *breaker {
	return &breaker{limit: max(1, c.Failures), cooldown: c.Cooldown.D()}
}

// enter asks for a call, and says whether it is the probe. The error is
// Unavailable and says when to ask again.
func (b *breaker) enter(now time.Time) (probe bool, err error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if !b.open {
		return false, nil
	}
	wait := b.until.Sub(now)
	if wait <= 0 && !b.probing {
		b.probing = true
		return true, nil
	}
	return false, &pipeline.Error{Kind: pipeline.Unavailable, Code: codeBreaker,
		After: max(wait, b.cooldown/4, probeWait), Err: errors.New("circuit breaker is open")}
}

// leave reports the result of a call that enter allowed, and returns whether
// that opened or closed the breaker. While it is open only the probe counts:
// calls from before say nothing new.
func (b *breaker) leave(probe bool, err error, now time.Time) (change string) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if probe {
		b.probing = false
	}
	switch {
	case b.open && !probe:
	case err != nil && (pipeline.KindOf(err) == pipeline.Cancelled || errors.Is(err, cluster.ErrPermitLost)): // not the stage's
	case !failure(err):
		b.failures, b.open = 0, false
		if probe {
			return "breaker-closed"
		}
	default:
		if b.failures++; probe || b.failures >= b.limit {
			b.open, b.until = true, now.Add(b.cooldown)
			return "breaker-open"
		}
	}
	return ""
}

func failure(err error) bool {
	if err == nil {
		return false
	}
	switch pipeline.KindOf(err) {
	case pipeline.Retry, pipeline.Unavailable, pipeline.Bug:
		return true
	}
	return false
}
