package runtime

import "time"

// Abort ends the wait of a drain: items in flight are cancelled now, as at the
// end of its bound, and given back without losing an attempt. It does not start
// a drain; end the run's context for that.
func (r *Running) Abort() {
	r.e.halt(ErrInterrupted)
	r.e.cancel(errDrained)
}

// finishes reports whether the carriers ended within the bound and before an
// Abort.
func (e *engine) finishes(done <-chan struct{}, bound time.Duration) bool {
	t := time.NewTimer(bound)
	defer t.Stop()
	select {
	case <-done:
		return true
	case <-t.C:
	case <-e.work.Done():
	}
	return false
}
