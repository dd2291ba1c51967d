package cdp

import (
	"context"
	"errors"
	"fmt"
	"time"
)

// Errors that callers tell apart with errors.Is.
var (
	// ErrBrowserLost: the browser died or was killed because it hung. The page
	// is not to blame; the next Acquire gets another browser.
	ErrBrowserLost = errors.New("the browser is lost")
	// ErrPageCrashed: the page's renderer crashed; other sessions live on.
	ErrPageCrashed = errors.New("the page crashed")
	// ErrPageClosed: the page was closed, by itself or from outside.
	ErrPageClosed = errors.New("the page was closed")
	// ErrSessionClosed: the session was used after Close.
	ErrSessionClosed = errors.New("the session is closed")
	// ErrPoolClosed: the pool was closed.
	ErrPoolClosed = errors.New("the pool of browsers is closed")
	// ErrSaturated: too many callers wait for a session already.
	ErrSaturated = errors.New("too many wait for a browser session")
	// ErrEndpoint: the address of a remote browser is not safe to use.
	ErrEndpoint = errors.New("the DevTools endpoint is refused")
	// ErrScheme: the URL's scheme is not on the allow-list.
	ErrScheme = errors.New("the URL's scheme is not allowed")
	// ErrSandbox: Chrome cannot use its sandbox here.
	ErrSandbox = errors.New("chrome's sandbox does not work here")
	// ErrProfiles: the folder for profiles cannot be used.
	ErrProfiles = errors.New("folder for browser profiles")
	// ErrNotFound: no Chrome was found.
	ErrNotFound = errors.New("no Chrome found")
)

// TimeoutError says that a deadline passed and what was waited for. It is a
// context.DeadlineExceeded for errors.Is.
type TimeoutError struct {
	// What was waited for: `element "main" to be visible`.
	What string
	// Waited is how long.
	Waited time.Duration
	// Last is what stood in the way when the time ran out, if known.
	Last string
}

// Error renders what was waited for, how long, and what stood in the way.
func (e *TimeoutError) Error() string {
	s := fmt.Sprintf("timed out after %v waiting for %s", e.Waited.Round(time.Millisecond), e.What)
	if e.Last != "" {
		s += ": " + e.Last
	}
	return s
}

// Unwrap returns context.DeadlineExceeded.
func (e *TimeoutError) Unwrap() error { return context.DeadlineExceeded }

// NavigationError is a navigation that failed before there was a document. An
// HTTP status is not an error.
type NavigationError struct {
	// Code is Chromium's name (net/base/net_error_list.h):
	// "net::ERR_CONNECTION_REFUSED".
	Code string
	URL  string
	// Detail explains codes that say little by themselves.
	Detail string
	// Cause is the *egress.Error of the proxy, if it was the proxy's doing.
	Cause error
}

// Error renders code, URL and detail.
func (e *NavigationError) Error() string {
	s := fmt.Sprintf("navigate to %s: %s", e.URL, e.Code)
	switch {
	case e.Cause != nil:
		return "navigate to " + e.URL + ": " + e.Cause.Error()
	case e.Detail != "":
		s += " (" + e.Detail + ")"
	}
	return s
}

// Unwrap returns the cause, nil if none is known.
func (e *NavigationError) Unwrap() error { return e.Cause }

// ScriptError is an exception thrown by a script that the caller gave.
type ScriptError struct {
	// Message is the exception's description, with the stack that V8 gives.
	Message string
}

// Error returns the message.
func (e *ScriptError) Error() string { return "script failed: " + e.Message }

// SelectorError is a selector that the page cannot understand.
type SelectorError struct{ Message string }

// Error returns the message.
func (e *SelectorError) Error() string { return e.Message }

// TooLargeError says that something is larger than its cap; nothing was
// truncated in silence.
type TooLargeError struct {
	What       string
	Size, Most int64
	Unit       string
}

// Error renders what is too large and by how much.
func (e *TooLargeError) Error() string {
	return fmt.Sprintf("%s is too large: %d %s, at most %d", e.What, e.Size, e.Unit, e.Most)
}

// lostError is why a browser is gone, with the last lines it printed.
type lostError struct {
	reason string
	output string
}

func (e *lostError) Error() string {
	s := ErrBrowserLost.Error() + ": " + e.reason
	if e.output != "" {
		s += "; its last output: " + e.output
	}
	return s
}

func (e *lostError) Is(target error) bool { return target == ErrBrowserLost }

// crashError is a crashed renderer with Chrome's word for how it ended.
type crashError struct{ status string }

func (e *crashError) Error() string        { return ErrPageCrashed.Error() + " (" + e.status + ")" }
func (e *crashError) Is(target error) bool { return target == ErrPageCrashed }
