package runtime

// Abort ends the run at once: it claims no more, cancels the items in flight as
// at the end of a drain's bound, and gives them back without losing an attempt.
// It is the second interrupt; for a drain that waits for the items, end the
// run's context.
func (r *Running) Abort() {
	r.e.halt(ErrInterrupted)
	r.e.cancel(errDrained)
}
