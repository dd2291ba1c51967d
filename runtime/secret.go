package runtime

import "github.com/waybill-dev/waybill/pipeline"

// hide takes the plan's secrets out of an error's text, before it comes to a
// queue, a receipt, a span or a log. What the error means stays: kind, code and
// what errors.Is and errors.As find in it.
func (e *engine) hide(err *pipeline.Error) {
	if e.redact != nil {
		err.Hint, err.Err = e.redact(err.Hint), e.clean(err.Err)
	}
}

// clean is hide for any error.
func (e *engine) clean(err error) error {
	if err == nil || e.redact == nil {
		return err
	}
	text := err.Error()
	if clean := e.redact(text); clean != text {
		return &hidden{clean, err}
	}
	return err
}

// hidden is an error whose text is another.
type hidden struct {
	text string
	err  error
}

// Error returns the text without secrets.
func (h *hidden) Error() string { return h.text }

// Unwrap returns the error as it was, for errors.Is and errors.As.
func (h *hidden) Unwrap() error { return h.err }
