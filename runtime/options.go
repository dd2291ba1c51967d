package runtime

import (
	"fmt"
	"io"
	"log/slog"
	"os"
	"time"

	"github.com/waybill-dev/waybill/runtime/internal/feed"
	"github.com/waybill-dev/waybill/runtime/telemetry"
)

// Options are what a run needs besides its plan. The zero value runs until it
// is stopped, without telemetry, logging to slog.Default.
type Options struct {
	// UntilEmpty ends the run when nothing is ready, delayed or leased by
	// anybody. Without it the run goes on until its context ends, or until the
	// source says that there will never be another item.
	UntilEmpty bool
	// Drain is how long items in flight get to finish after the context ended;
	// 0 takes the plan's.
	Drain time.Duration
	// Grace is how long stages get to return, and the queue to take their items,
	// after the drain cancelled their contexts, and how long closing each may
	// take; the default is 5 s. Stages that take longer are abandoned and named
	// in the error; they are not closed.
	Grace time.Duration
	// Log receives the run's messages; nil means slog.Default.
	Log *slog.Logger
	// Observer is called as the run goes.
	Observer Observer
	// Telemetry exports spans; nil exports none. A trace context in the context
	// of Run (pipeline.ContextWithTrace) is the parent of the run's span.
	Telemetry *telemetry.Telemetry
	// MetricsAddr serves Prometheus metrics at http://ADDR/metrics; empty
	// serves none.
	MetricsAddr string
	// RunID identifies the run in logs, spans and receipts; empty makes one.
	RunID string
	// Rollback lets a pipeline run whose version is lower than that of the
	// processes on its queue, which then make way for it.
	Rollback bool
	// Version is the engine's version, for receipts.
	Version string
	// CacheDir and RuntimeDir are given to stages (see pipeline.Env).
	CacheDir, RuntimeDir string
	// Stdout is where stages write that send to standard output; nil means
	// os.Stdout. It must be safe for use by as many goroutines as stages send
	// there.
	Stdout io.Writer
	// Stdin is what a source reads from standard input; nil means os.Stdin.
	Stdin io.Reader
	// PollMin, PollBusy and PollIdle say how long to wait after a claim found
	// nothing: PollMin (50 ms), doubled up to PollBusy (1 s) while items are
	// in flight or delayed, up to PollIdle (2 s) otherwise.
	PollMin, PollBusy, PollIdle time.Duration
}

// withDefaults fills in what was left out.
func (o Options) withDefaults() Options {
	if o.Log == nil {
		o.Log = slog.Default()
	}
	if o.Stdout == nil {
		o.Stdout = os.Stdout
	}
	if o.Grace <= 0 {
		o.Grace = 5 * time.Second
	}
	if o.RunID == "" {
		o.RunID = newRunID()
	}
	if o.PollMin <= 0 {
		o.PollMin = feed.DefaultPoll.Min
	}
	if o.PollBusy <= 0 {
		o.PollBusy = feed.DefaultPoll.Busy
	}
	if o.PollIdle <= 0 {
		o.PollIdle = feed.DefaultPoll.Idle
	}
	return o
}

// newRunID returns an id that sorts by time and is unique among processes.
func newRunID() string {
	now := time.Now().UTC()
	return fmt.Sprintf("%s-%d-%04x", now.Format("20060102T150405"), os.Getpid(), now.Nanosecond()&0xffff)
}
