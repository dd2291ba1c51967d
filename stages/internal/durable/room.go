package durable

import (
	"errors"
	"fmt"
	"syscall"

	"github.com/waybill-dev/waybill/pipeline"
)

// CodeDiskFull is the code of a write for which there was no room.
const CodeDiskFull = "disk-full"

// NoRoom reports whether a write failed for want of room: the disk is full, or
// what its user may have of it.
func NoRoom(err error) bool {
	return errors.Is(err, syscall.ENOSPC) || errors.Is(err, syscall.EDQUOT)
}

// WriteError gives a failed write its kind. A full disk is nobody's fault who
// wants to write, and somebody may make room: Unavailable, with the code
// disk-full. Everything else is the caller's kind and code.
func WriteError(where string, err error, kind pipeline.Kind, code string) *pipeline.Error {
	e := &pipeline.Error{Kind: kind, Code: code, Err: fmt.Errorf("%s: %w", where, err)}
	if NoRoom(err) {
		e.Kind, e.Code, e.Hint = pipeline.Unavailable, CodeDiskFull, "make room there; nothing was half-written"
	}
	return e
}
