package local

import (
	"encoding/json"
	"time"

	"github.com/waybill-dev/waybill/pipeline"
)

// Record is one item of an input, or the part of it that could not be read.
type Record struct {
	Item pipeline.NewItem
	// Where is the place in the input, and the id of items without one.
	Where string
	// Body is set instead of Item.Body when the content is not JSON. It is
	// called for each claim.
	Body func() (pipeline.Body, error)
	// Bad says why this is not an item; Text is what stands there.
	Bad  error
	Text []byte
	// Letter is set instead of Item.Body if the content is not JSON and is kept
	// nowhere else: what a dead letter has as its body.
	Letter func() []byte
	// Keep is what a live journal keeps of the item once it has ended; nil lets
	// it be forgotten.
	Keep json.RawMessage
	// Ended, if there is one, is told how the item ended, once that is durable.
	Ended func(pipeline.Outcome)
}

// Records is an input. The source calls one method at a time.
type Records interface {
	// Next returns the next record without waiting: nil if there is none now,
	// io.EOF if there never will be another. Any other error fails the claim.
	Next() (*Record, error)
	// Coming returns how many more records are sure to come, as far as that is
	// known, and when to look again (zero: whenever the engine likes). The n of
	// an input that is read to its end is at least 1 until then.
	Coming() (n int64, next time.Time)
	// Close ends the input. Nothing is called afterwards.
	Close() error
}

// entry is an item of the window.
type entry struct {
	*Record
	id        string
	state     pipeline.ItemState
	condemned error // why it may not run
	attempts  int
	token     int64
	notBefore time.Time
	read      time.Time
}

// content is the body, or the text of a record that is no item.
func (e *entry) content() (pipeline.Body, error) {
	switch {
	case e.Bad != nil:
		return pipeline.RawBody(e.Text, ""), nil
	case len(e.Item.Body) > 0:
		return pipeline.RawBody(e.Item.Body, pipeline.MediaJSON), nil
	case e.Body != nil:
		return e.Body()
	}
	return pipeline.Body{}, nil
}

// unreadable is a permanent error that says where.
func unreadable(where string, err error) error {
	code := pipeline.CodeOf(err)
	if code == "error" {
		code = "bad-item"
	}
	return pipeline.Fail(code, "%s: %w", where, err)
}

// late says that the deadline has passed, or nothing.
func (e *entry) late(now time.Time) error {
	if d := e.Item.Deadline; !d.IsZero() && !d.After(now) {
		return pipeline.DeadlineExceeded(d)
	}
	return nil
}

// due is when a delayed entry can be claimed: its deadline ends its delay.
func (e *entry) due() time.Time {
	if d := e.Item.Deadline; !d.IsZero() && d.Before(e.notBefore) {
		return d
	}
	return e.notBefore
}
