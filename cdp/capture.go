package cdp

import (
	"context"
)

// Visited is a document of the session's history.
type Visited struct{ URL, Title string }

// History lists the documents that the page showed, in order. A page that is
// reused begins with those of earlier sessions.
func (s *Session) History(ctx context.Context) (list []Visited, err error) {
	err = s.do(ctx, "the page's history", func(ctx context.Context) error {
		list, err = s.tab.history(ctx)
		return err
	})
	return list, err
}

// traceBuffer is how much of a trace Chrome keeps; what comes later is lost, as
// the trace then says.
const traceBuffer = 8 << 20

// StartTrace begins to record what the browser does for the page: scripts,
// layout, painting, network. A browser makes one trace at a time.
func (s *Session) StartTrace(ctx context.Context) error {
	return s.do(ctx, "the trace to begin", s.tab.startTrace)
}

// StopTrace ends the trace and returns it in Chrome's JSON format, at most max
// bytes (0: 64 MiB), read in pieces.
func (s *Session) StopTrace(ctx context.Context, max int64) (trace []byte, err error) {
	if max <= 0 {
		max = 64 << 20
	}
	err = s.do(ctx, "the trace to end", func(ctx context.Context) error {
		trace, err = s.tab.stopTrace(ctx, max)
		return err
	})
	if err != nil {
		return nil, err
	}
	return trace, nil
}
