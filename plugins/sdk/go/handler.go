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

// handle runs a batch through the handler and leaves the answer in w.
func handle(h Handler, frame []byte, w *writer) ([]byte, error) {
	n, err := count(frame)
	if err != nil {
		return nil, err
	}
	w.reset()
	for i := range n {
		in, err := record(frame, i)
		if err != nil {
			return nil, err
		}
		before := w.mark()
		if err := h.Handle(&Record{in: in, out: w, src: uint32(i)}); err != nil {
			w.undo(before)
			var v verdict
			errors.As(err, &v)
			w.op(op{src: uint32(i), code: opErr, port: v.port, value: []byte(err.Error())})
		}
	}
	return w.finish(), nil
}
