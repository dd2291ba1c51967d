package sched

import (
	"context"
	"fmt"
	"runtime/debug"

	"github.com/waybill-dev/waybill/pipeline"
)

// Panic is the cause of an error of kind Bug: what was thrown and where.
type Panic struct {
	Value any
	Stack []byte
}

// Error renders the value; the stack is for the log.
func (p *Panic) Error() string { return fmt.Sprintf("panic: %v", p.Value) }

// Unwrap returns the value if it was an error.
func (p *Panic) Unwrap() error {
	err, _ := p.Value.(error)
	return err
}

// Catch turns a panic into an error of kind Bug. Use it in a defer:
//
//	defer sched.Catch(&err)
func Catch(err *error) {
	if v := recover(); v != nil {
		*err = bug(v)
	}
}

func bug(v any) error {
	return &pipeline.Error{Kind: pipeline.Bug, Code: "panic",
		Err:  &Panic{Value: v, Stack: debug.Stack()},
		Hint: "a bug in the stage; the stack is in the log"}
}

// GuardBatch calls a batch stage; a panic fails the items of this batch only,
// and so does an answer of the wrong length.
func GuardBatch(ctx context.Context, s pipeline.Batcher, items []*pipeline.Item) (errs []error) {
	defer func() {
		if v := recover(); v != nil {
			errs = all(len(items), bug(v))
		}
	}()
	errs = s.ProcessBatch(ctx, items)
	if errs != nil && len(errs) != len(items) {
		return all(len(items), bug(fmt.Sprintf("ProcessBatch returned %d errors for %d items", len(errs), len(items))))
	}
	return errs
}

func all(n int, err error) []error {
	out := make([]error, n)
	for i := range out {
		out[i] = err
	}
	return out
}
