package runtime

import "sync/atomic"

// retryBudget keeps an outage from being multiplied by retries in place: a
// retry costs a token, a success earns a tenth of one, and there are at most
// ten. The unit is a tenth of a token.
type retryBudget struct{ tenths atomic.Int64 }

const retryTokens = 100

func (b *retryBudget) fill() { b.tenths.Store(retryTokens) }

func (b *retryBudget) take() bool {
	if b.tenths.Add(-10) >= 0 {
		return true
	}
	b.tenths.Add(10)
	return false
}

func (b *retryBudget) earn() {
	if b.tenths.Load() < retryTokens {
		b.tenths.Add(1)
	}
}
