package kernel

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
)

// Handler is a configured kernel.
type Handler interface {
	// Handle answers one record. An error fails the record alone and takes
	// back what was answered to it.
	Handle(r *Record) error
}

// HandlerFunc is a function as a Handler.
type HandlerFunc func(r *Record) error

// Handle calls f.
func (f HandlerFunc) Handle(r *Record) error { return f(r) }

// Factory makes a handler from the stage's `with`, as JSON. An error keeps the
// pipeline from starting.
type Factory func(config []byte) (Handler, error)

// JSON makes a Factory of a function with a typed configuration. Keys that C
// does not have are errors.
func JSON[C any](make func(config C) (Handler, error)) Factory {
	return func(config []byte) (Handler, error) {
		var c C
		d := json.NewDecoder(bytes.NewReader(config))
		d.DisallowUnknownFields()
		if err := d.Decode(&c); err != nil {
			return nil, fmt.Errorf("config: %w", err)
		}
		return make(c)
	}
}

// Verdicts about a failed record; see Retry and Skip.
const (
	portPermanent = 0
	portRetry     = 1
	portSkip      = 2
)

type verdict struct {
	error
	port uint16
}

func (v verdict) Unwrap() error { return v.error }

// Retry marks an error as worth another attempt. Other errors are permanent:
// the same input gives the same answer.
func Retry(err error) error { return verdict{err, portRetry} }

// Skip ends the record as skipped: a result, not a failure.
func Skip(reason string) error { return verdict{errors.New(reason), portSkip} }

// batch is what one call needs; it is kept for the next one.
type batch struct {
	out    writer
	record Record
}

// handle runs a frame through the handler and returns the out frame, which
// stays valid until the next call.
func (b *batch) handle(h Handler, frame []byte) ([]byte, error) {
	n, err := count(frame)
	if err != nil {
		return nil, err
	}
	b.out.reset(n)
	for i := range n {
		in, err := record(frame, i)
		if err != nil {
			return nil, err
		}
		before := b.out.mark()
		b.record = Record{in: in, out: &b.out, src: uint32(i)}
		if err := h.Handle(&b.record); err != nil {
			b.out.undo(before)
			b.fail(err)
		}
	}
	return b.out.finish(), nil
}

// fail answers the current record with an error.
func (b *batch) fail(err error) {
	var v verdict
	errors.As(err, &v)
	text := err.Error()
	copy(b.out.put(b.record.src, opErr, v.port, nil, len(text)), text)
}
