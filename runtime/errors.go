package runtime

import (
	"errors"
	"fmt"
	"strings"

	"github.com/waybill-dev/waybill/pipeline"
)

// ErrInterrupted is in the error of a run whose context ended before its work
// did. Items that were in flight have finished or have been given back.
var ErrInterrupted = errors.New("interrupted")

// StartError is a stage that could not be built or started. Nothing was
// claimed.
type StartError struct {
	Stage string
	Pos   pipeline.Pos
	Err   error
}

// Error renders `file:line:col: stage "name": cause`.
func (e *StartError) Error() string {
	inner := &pipeline.Error{Stage: e.Stage, Pos: e.Pos, Err: e.Err}
	return inner.Error()
}

// Unwrap returns the cause.
func (e *StartError) Unwrap() error { return e.Err }

// StopError is why a run ended by itself before its work did: a stage with
// on_error: stop failed, or the source can give no more items.
type StopError struct{ Err error }

// Error renders the cause, after the item that it is about.
func (e *StopError) Error() string {
	var cause *pipeline.Error
	if errors.As(e.Err, &cause) && cause.Item != "" {
		return fmt.Sprintf("run stopped: item %q: %v", cause.Item, e.Err)
	}
	return "run stopped: " + e.Err.Error()
}

// Unwrap returns the cause.
func (e *StopError) Unwrap() error { return e.Err }

// AbandonedError names the stages that ignored the end of their context. Their
// items were given back to the queue; their goroutines still run.
type AbandonedError struct{ Stages []string }

// Error names the stages.
func (e *AbandonedError) Error() string {
	return "stages did not return after their context was cancelled: " + strings.Join(e.Stages, ", ")
}

// UnsettledError says that the source refused to take outcomes. The items'
// leases run out by themselves, and the items will be claimed again.
type UnsettledError struct {
	Items int64
	Err   error
}

// Error renders the count and the last cause.
func (e *UnsettledError) Error() string {
	return fmt.Sprintf("%d items could not be acknowledged or given back: %v", e.Items, e.Err)
}

// Unwrap returns the last cause.
func (e *UnsettledError) Unwrap() error { return e.Err }

// Causes that end an item's context.
var (
	errDrained  = errors.New("the run is ending")
	errDeadline = errors.New("the item's deadline passed")
	errTimeout  = errors.New("the stage's timeout passed")
)
