package file

import (
	"time"

	"github.com/waybill-dev/waybill/pipeline"
)

// entry is an item of the window.
type entry struct {
	record
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
	case e.bad != nil:
		return pipeline.RawBody(e.text, ""), nil
	case len(e.item.Body) > 0:
		return pipeline.RawBody(e.item.Body, pipeline.MediaJSON), nil
	case e.record.body != nil:
		return e.record.body()
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
	if d := e.item.Deadline; !d.IsZero() && !d.After(now) {
		return pipeline.DeadlineExceeded(d)
	}
	return nil
}

// due is when a delayed entry can be claimed: its deadline ends its delay.
func (e *entry) due() time.Time {
	if d := e.item.Deadline; !d.IsZero() && d.Before(e.notBefore) {
		return d
	}
	return e.notBefore
}
