package capability

import (
	"errors"
	"fmt"
)

// Code is the negative answer that a guest gets.
type Code int64

// Codes, as spec/kernel-abi.md has them.
const (
	Denied   Code = -1 // not granted
	NotFound Code = -2
	TooLarge Code = -3 // over a limit
	Failed   Code = -4 // anything else
)

// Error is a refusal or a failure that the guest is told.
type Error struct {
	Code Code
	// Message is for the guest: it holds no credential, and no address that
	// the guest did not name.
	Message string
}

// Error returns the message.
func (e *Error) Error() string { return e.Message }

// CodeOf returns the code of an error of this package, Failed for others.
func CodeOf(err error) Code {
	var e *Error
	if errors.As(err, &e) {
		return e.Code
	}
	return Failed
}

func fault(code Code, format string, args ...any) *Error {
	return &Error{code, fmt.Sprintf(format, args...)}
}

// NotGranted refuses a capability that is not in the Set.
func NotGranted(name string) error { return fault(Denied, "%s is not granted", name) }
