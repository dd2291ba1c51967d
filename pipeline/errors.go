package pipeline

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"
)

// Kind says what the engine does about a failed stage.
type Kind uint8

const (
	// Retry: the item may succeed later. An error without a kind is Retry.
	Retry Kind = iota
	// Permanent: trying again cannot help; the item is dead at once.
	Permanent
	// Skip: not a failure. The item ends here with the result "skipped".
	Skip
	// Cancelled: the run or the item was cancelled; the item goes back to the
	// queue without losing an attempt.
	Cancelled
	// Unavailable: the infrastructure is to blame (a browser died, a breaker is
	// open); the item goes back without losing an attempt, after a wait.
	Unavailable
	// Bug: the stage panicked. Only this item fails, permanently.
	Bug
)

// String returns the kind's name as it stands in receipts, spans and JSON.
func (k Kind) String() string {
	names := [...]string{"retry", "permanent", "skipped", "cancelled", "unavailable", "bug"}
	if int(k) < len(names) {
		return names[k]
	}
	return fmt.Sprintf("kind(%d)", uint8(k))
}

// Error is a failure with everything that somebody needs to act on it. Stages
// fill in what they know (Kind, Code, Err, Hint); the engine adds the rest.
type Error struct {
	Kind Kind
	// Code is a short stable name for machines ("timeout", "browser-lost"); it
	// becomes error.type of the span.
	Code string
	// Stage and Pos say where in the pipeline file the stage stands.
	Stage string
	Pos   Pos
	// Item and Attempt say whose failure it is.
	Item    string
	Attempt int
	// After is the least wait before the next attempt; 0 leaves it to the
	// retry policy.
	After time.Duration
	// Err is the cause.
	Err error
	// Hint says what would help.
	Hint string
}

// Error renders "file:line:col: stage "name": cause (hint)".
func (e *Error) Error() string {
	var b strings.Builder
	if e.Pos.Line > 0 {
		fmt.Fprintf(&b, "%s: ", e.Pos)
	}
	if e.Stage != "" {
		fmt.Fprintf(&b, "stage %q: ", e.Stage)
	}
	if e.Err != nil {
		b.WriteString(e.Err.Error())
	} else {
		b.WriteString(e.Kind.String())
	}
	if e.Hint != "" {
		fmt.Fprintf(&b, " (%s)", e.Hint)
	}
	return b.String()
}

// Unwrap returns the cause.
func (e *Error) Unwrap() error { return e.Err }

// Fail returns a permanent error.
func Fail(code string, format string, args ...any) *Error {
	return &Error{Kind: Permanent, Code: code, Err: fmt.Errorf(format, args...)}
}

// Again returns an error that is worth another attempt.
func Again(code string, format string, args ...any) *Error {
	return &Error{Kind: Retry, Code: code, Err: fmt.Errorf(format, args...)}
}

// SkipItem ends the item here as skipped.
func SkipItem(format string, args ...any) *Error {
	return &Error{Kind: Skip, Code: "skipped", Err: fmt.Errorf(format, args...)}
}

// Codes of Item.Condemned that every queue has.
const (
	CodeAttemptsExhausted = "attempts-exhausted"
	CodeDeadlineExceeded  = "deadline-exceeded"
	CodeCancelled         = "cancelled"
)

// AttemptsExhausted condemns an item whose workers died in each of its attempts.
func AttemptsExhausted(attempts int) *Error {
	return Fail(CodeAttemptsExhausted, "no attempt is left: %d ended without an answer from their worker", attempts).
		WithHint("an item that kills its worker each time is often the reason; waybill queue retry tries it anew")
}

// DeadlineExceeded condemns an item that waited longer than its deadline.
func DeadlineExceeded(deadline time.Time) *Error {
	return Fail(CodeDeadlineExceeded, "the deadline %s passed before an attempt succeeded", deadline.UTC().Format(time.RFC3339))
}

// CancelledItem condemns an item that somebody cancelled.
func CancelledItem() *Error {
	return Fail(CodeCancelled, "the item was cancelled").WithHint("waybill queue retry makes it ready again")
}

// WithHint sets the hint and returns e.
func (e *Error) WithHint(format string, args ...any) *Error {
	e.Hint = fmt.Sprintf(format, args...)
	return e
}

// KindOf classifies any error: a *Error by its kind, a cancelled context as
// Cancelled, an elapsed deadline and everything else as Retry.
func KindOf(err error) Kind {
	var e *Error
	if errors.As(err, &e) {
		return e.Kind
	}
	if errors.Is(err, context.Canceled) {
		return Cancelled
	}
	return Retry
}

// CodeOf returns the stable code of err: the code of the *Error in it,
// "timeout", "cancelled", or "error".
func CodeOf(err error) string {
	var e *Error
	switch {
	case err == nil:
		return ""
	case errors.As(err, &e) && e.Code != "":
		return e.Code
	case errors.Is(err, context.DeadlineExceeded):
		return "timeout"
	case errors.Is(err, context.Canceled):
		return "cancelled"
	}
	return "error"
}

// Errors that drivers return and the engine tells apart with errors.Is.
var (
	// ErrLeaseLost: a write came with a token that is no longer the item's.
	ErrLeaseLost = errors.New("lease lost: the item was given to somebody else")
	// ErrNoQueue: the queue named does not exist.
	ErrNoQueue = errors.New("no such queue")
	// ErrNotFound: no item or object of that name.
	ErrNotFound = errors.New("not found")
	// ErrConflict: a conditional write met another revision than it expected.
	ErrConflict = errors.New("conflict: somebody else wrote it meanwhile")
	// ErrCorrupt: stored bytes do not match their digest.
	ErrCorrupt = errors.New("content does not match its digest")
)
