package cli

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"net"
	"strings"
	"syscall"

	"github.com/waybill-dev/waybill/pipeline"
)

// Exit codes.
const (
	exitOK          = 0
	exitFailed      = 1
	exitProblem     = 2
	exitInterrupted = 3
	exitInternal    = 4
)

// exitError carries the exit code on the error. A nil err means that everything
// was already said.
type exitError struct {
	code int
	err  error
	hint string
}

func (e *exitError) Error() string {
	switch {
	case e.err == nil:
		return ""
	case e.hint == "":
		return e.err.Error()
	}
	return e.err.Error() + " (" + e.hint + ")"
}

func (e *exitError) Unwrap() error { return e.err }

// problem is an error in what the user gave us; hint says what would help.
func problem(hint, format string, args ...any) error {
	return &exitError{exitProblem, fmt.Errorf(format, args...), hint}
}

// silent ends the command with a code after it has reported by itself.
func silent(code int) error { return &exitError{code: code} }

// finish reports err and returns the exit code.
func (a *app) finish(err error) int {
	if err == nil {
		return exitOK
	}
	var ps pipeline.Problems
	if errors.As(err, &ps) {
		a.printProblems(ps)
		return exitProblem
	}
	if text := err.Error(); text != "" {
		fmt.Fprintf(a.stderr, "waybill: %s\n", a.redact(joined(text)))
	}
	return exitCode(err)
}

// joined puts what errors.Join put on several lines on one, so that each line
// of standard error is a message of its own.
func joined(text string) string {
	return strings.Join(strings.FieldsFunc(plain(text), func(r rune) bool { return r == '\n' || r == '\r' }), "; ")
}

// exitCode classifies an error: one that carries its code by that, what the
// environment refused as a problem, and as internal the rest: also a queue or a
// registry that cannot be reached, where nothing on the command line is wrong and
// the same command may succeed later.
func exitCode(err error) int {
	var e *exitError
	var pe *pipeline.Error
	switch {
	case errors.As(err, &e):
		return e.code
	case errors.Is(err, context.Canceled):
		return exitInterrupted
	case errors.As(err, &pe) && pe.Kind == pipeline.Unavailable:
		return exitInternal
	case errors.As(err, &pe) && pe.Kind != pipeline.Bug:
		return exitProblem
	case errors.Is(err, pipeline.ErrNoQueue), errors.Is(err, pipeline.ErrNotFound):
		return exitProblem
	case errors.Is(err, pipeline.ErrCorrupt):
		return exitFailed
	case fromEnvironment(err):
		return exitProblem
	}
	return exitInternal
}

// fromEnvironment reports whether a file or a disk refused: the message names it
// and the user can act on it.
func fromEnvironment(err error) bool {
	var path *fs.PathError
	var errno syscall.Errno
	if errors.As(err, new(*net.OpError)) {
		return false
	}
	return errors.As(err, &path) || errors.As(err, &errno) ||
		errors.Is(err, fs.ErrNotExist) || errors.Is(err, fs.ErrPermission)
}
