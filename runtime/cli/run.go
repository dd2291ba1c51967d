package cli

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"strings"
	"sync/atomic"
	"time"

	"github.com/spf13/cobra"

	"github.com/waybill-dev/waybill/pipeline"
	"github.com/waybill-dev/waybill/runtime"
	"github.com/waybill-dev/waybill/runtime/cluster"
	"github.com/waybill-dev/waybill/runtime/telemetry"
)

// exportBound is how long the last spans may take to leave after a run.
const exportBound = 5 * time.Second

// onePipeline is what commands over one pipeline want.
const onePipeline = "name one pipeline file"

// runFlags are the flags of run.
type runFlags struct {
	untilEmpty          bool
	drain               time.Duration
	concurrency         int
	metrics             string
	logLevel, logFormat string
	quiet, rollback     bool
}

func (a *app) runCommand() *cobra.Command {
	var f runFlags
	cmd := &cobra.Command{
		Use:   "run FILE",
		Short: "Runs a pipeline",
		Long: "Runs a pipeline until it is stopped, or until nothing is ready, delayed or leased (--until-empty).\n" +
			"The first SIGINT or SIGTERM drains: no more claims, items in flight finish within the bound. The\n" +
			"second cancels them at once; they go back to the queue without losing an attempt. So does a run whose\n" +
			"pipeline makes way for another version on its queue, and exits with 0. Statistics go to standard\n" +
			"output, as a table or, with --json, as one object; progress and log to standard error.",
		Example: "  waybill run pipeline.yaml --until-empty --json\n  waybill run pipeline.yaml --metrics 127.0.0.1:9464",
		Args:    args(cobra.ExactArgs(1), onePipeline),
		RunE:    func(cmd *cobra.Command, args []string) error { return a.run(cmd.Context(), args[0], f) },
	}
	flags := cmd.Flags()
	flags.BoolVar(&f.untilEmpty, "until-empty", false, "end when nothing is ready, delayed or leased by anybody")
	flags.DurationVar(&f.drain, "drain", 0, "time that items in flight get after the first signal (default: the file's run.drain)")
	flags.IntVar(&f.concurrency, "concurrency", 0, "items in flight, at most (default, and 0: the file's run.concurrency)")
	flags.StringVar(&f.metrics, "metrics", "", "serve Prometheus metrics at http://ADDR/metrics, such as 127.0.0.1:9464")
	flags.StringVar(&f.logLevel, "log-level", "info", "least level that is logged: debug, info, warn or error")
	flags.StringVar(&f.logFormat, "log-format", "text", "text or json")
	flags.BoolVar(&f.rollback, "rollback", false, "run although a newer version of the pipeline runs on the queue, whose processes then end")
	flags.BoolVar(&f.quiet, "quiet", false, "no progress on standard error")
	return cmd
}

// run loads the file and carries it out.
func (a *app) run(ctx context.Context, file string, f runFlags) error {
	plan, err := a.load(file)
	if err != nil {
		return err
	}
	if f.concurrency < 0 || f.drain < 0 {
		return problem("", "--concurrency and --drain must not be negative")
	}
	if f.concurrency > 0 {
		plan.Run.Concurrency = f.concurrency
	}
	live := &live{}
	status := newStatus(a.stderr, live.progress)
	log, err := a.logger(status, f)
	if err != nil {
		return err
	}
	options := runtime.Options{UntilEmpty: f.untilEmpty, Drain: f.drain, Log: log, MetricsAddr: f.metrics, Rollback: f.rollback,
		Version: a.version().Version, CacheDir: cacheDir(), Stdout: a.stdout, Stdin: a.stdin}
	if options.RuntimeDir, err = runtimeDir(); err != nil {
		return err
	}
	if options.Telemetry, err = telemetry.New(ctx, telemetry.Options{Version: options.Version}); err != nil {
		return problem("see the OTEL_* variables", "%w", err)
	}
	stats, err := live.run(telemetry.FromEnvironment(ctx, os.Getenv), plan, options, status, f.quiet)
	a.reportSpans(options.Telemetry)
	return a.conclude(plan, stats, err)
}

// logger makes the log of a run. Its lines go through the status, which keeps
// them apart from the block.
func (a *app) logger(status *status, f runFlags) (*slog.Logger, error) {
	var level slog.Level
	levels := []string{"debug", "info", "warn", "error"}
	if err := level.UnmarshalText([]byte(f.logLevel)); err != nil {
		return nil, problem(suggest(f.logLevel, levels, "levels: "+strings.Join(levels, ", ")), "unknown --log-level %q", f.logLevel)
	}
	options := &slog.HandlerOptions{Level: level}
	var h slog.Handler
	switch f.logFormat {
	case "text":
		h = slog.NewTextHandler(status, options)
	case "json":
		h = slog.NewJSONHandler(status, options)
	default:
		return nil, problem("write text or json", "unknown --log-format %q", f.logFormat)
	}
	return slog.New(telemetry.LogHandler(h, a.secrets)), nil
}

// live is a run under way, as the status reads it.
type live struct {
	running  atomic.Pointer[runtime.Running]
	draining atomic.Bool
}

// run carries out the plan under the two-stage stop.
func (l *live) run(ctx context.Context, plan *pipeline.Plan, o runtime.Options, status *status, quiet bool) (*runtime.Stats, error) {
	drain, hard, release := stopSignals(ctx)
	defer release()
	o.Observer.Running = func(r *runtime.Running) {
		l.running.Store(r)
		context.AfterFunc(hard, r.Abort)
		if !quiet {
			status.start()
		}
	}
	context.AfterFunc(drain, func() { l.draining.Store(true) })
	stats, err := runtime.Run(drain, plan, o)
	status.stop()
	return stats, err
}

// progress reads the run's counters.
func (l *live) progress() progress {
	r := l.running.Load()
	if r == nil {
		return progress{}
	}
	s := r.Snapshot()
	p := progress{Elapsed: s.Elapsed.D(), InFlight: int64(s.InFlight), Ended: s.Stats.Total, Succeeded: s.Stats.Successful,
		Failed: s.Stats.Failed + s.Stats.Dead, Skipped: s.Stats.Skipped, Retries: s.Stats.TotalRetries, Draining: l.draining.Load(), Paused: s.Paused}
	for i, st := range s.Stages {
		sp := stageProgress{Name: st.Name, In: st.InFlight, Limit: int64(st.Limit), Waiting: st.Waiting}
		if i < len(s.Stats.Stages) {
			sp.Done = s.Stats.Stages[i].Calls
		}
		p.Stages = append(p.Stages, sp)
	}
	return p
}

// reportSpans ends the export and says what was lost.
func (a *app) reportSpans(t *telemetry.Telemetry) {
	ctx, cancel := context.WithTimeout(context.Background(), exportBound)
	defer cancel()
	err := t.Shutdown(ctx)
	n, why := t.Dropped()
	if n > 0 {
		fmt.Fprintf(a.stderr, "waybill: %s did not reach the collector: %v\n", count(n, "span"), errors.Join(why, err))
	}
}

// conclude prints the statistics and turns the run's end into an exit code.
func (a *app) conclude(plan *pipeline.Plan, stats *runtime.Stats, err error) error {
	var start *runtime.StartError
	if errors.As(err, &start) {
		return startError(start, err)
	}
	if err := a.printStats(plan, stats); err != nil {
		return err
	}
	var stop *runtime.StopError
	var other *cluster.SupersededError
	switch {
	case err == nil && stats.OK():
		return nil
	case err == nil:
		return silent(exitFailed)
	case errors.As(err, &stop):
		return &exitError{exitFailed, err, ""}
	case errors.As(err, &other) && err.Error() == other.Error(): // and nothing else went wrong
		fmt.Fprintf(a.stderr, "waybill: %v\n", other)
		if !stats.OK() {
			return silent(exitFailed)
		}
		return nil
	case errors.Is(err, runtime.ErrInterrupted):
		return &exitError{exitInterrupted, err, ""}
	}
	return err
}

// startError is a run that could not begin: the file or something that it names
// is to blame, unless a stage panicked or what it needs does not answer.
func startError(start *runtime.StartError, err error) error {
	var typed *pipeline.Error
	switch {
	case errors.Is(start, context.Canceled):
		return &exitError{exitInterrupted, errors.New("interrupted before the first claim"), ""}
	case errors.As(start.Err, &typed) && (typed.Kind == pipeline.Bug || typed.Kind == pipeline.Unavailable):
		return &exitError{exitInternal, err, ""}
	}
	return &exitError{exitProblem, err, ""}
}

// printStats prints to standard output, unless the pipeline writes its items
// there: a table among them would spoil the pipe.
func (a *app) printStats(plan *pipeline.Plan, stats *runtime.Stats) error {
	if a.json {
		return a.printJSON(stats)
	}
	w := a.stdout
	for _, s := range plan.Stages {
		if c, ok := s.Config.(interface{ WritesStdout() bool }); ok && c.WritesStdout() {
			w = a.stderr
		}
	}
	return stats.WriteTable(w)
}
