package cli

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"

	"github.com/spf13/cobra"

	"github.com/waybill-dev/waybill/pipeline"
	"github.com/waybill-dev/waybill/runtime/telemetry"
)

const (
	// enqueueBatch is how many items one durable write takes: large enough to
	// hide the flush, small enough for every driver's limits.
	enqueueBatch = 1000
	// maxBadLines is how many bad lines are named; more are only counted.
	maxBadLines = 20
)

// enqueueReport is the outcome of enqueue.
type enqueueReport struct {
	Enqueued   int `json:"enqueued"`
	Duplicates int `json:"duplicates"`
}

func (a *app) enqueueCommand() *cobra.Command {
	var flags queueFlags
	cmd := &cobra.Command{
		Use:   "enqueue FILE...",
		Short: "Puts items into a queue, one JSON object per line",
		Long: "Puts items into a queue and makes the queue if it is missing. Each line is an object with body and,\n" +
			"optionally, id, key, idempotencyKey, meta, priority (0-9), notBefore, deadline, maxAttempts. Numbers\n" +
			"and bools in meta become text.\n" +
			"- reads standard input. Files are checked whole, repeated ids included, before the first item is\n" +
			"enqueued; standard input is enqueued in batches of 1000, each all or nothing.",
		Example: "  waybill enqueue --to sqlite:var/queue.db --queue pages items.jsonl\n" +
			"  echo '{\"key\":\"example.com\",\"body\":{\"url\":\"https://example.com/\"}}' | waybill enqueue --to sqlite:q.db -",
		Args: args(cobra.MinimumNArgs(1), "name files of JSON lines, or -"),
	}
	flags.bind(cmd, "to", "URL of the queue store, such as sqlite:var/queue.db")
	cmd.RunE = interruptible(func(cmd *cobra.Command, files []string) error {
		if err := a.validateFiles(files); err != nil {
			return err
		}
		q, err := a.openQueue(cmd.Context(), flags, true)
		if err != nil {
			return err
		}
		e := &enqueuer{app: a, queue: q, name: flags.name}
		if e.trace, err = telemetry.New(cmd.Context(), telemetry.Options{Version: a.version().Version}); err == nil {
			err = e.files(telemetry.FromEnvironment(cmd.Context(), os.Getenv), files)
		}
		a.reportSpans(e.trace)
		if err = errors.Join(err, q.Close()); err != nil {
			return e.failed(err)
		}
		return a.printEnqueued(e.report)
	})
	return cmd
}

// validateFiles reads every regular file to its end and names the bad lines,
// so that nothing is enqueued half.
func (a *app) validateFiles(files []string) error {
	bad, seen := 0, firstLines{ids: map[string]string{}, keys: map[string]bool{}}
	for _, name := range files {
		if name == "-" {
			continue
		}
		f, err := os.Open(name)
		if err != nil {
			return problem("", "%w", err)
		}
		info, err := f.Stat()
		if err == nil && info.Mode().IsRegular() {
			bad += a.badLines(f, name, seen)
		} else if err == nil && info.IsDir() {
			err = problem("name a file of JSON lines", "%s is a folder", name)
		}
		if err = errors.Join(err, f.Close()); err != nil {
			return err
		}
	}
	if bad == 0 {
		return nil
	}
	return problem("", "%s; nothing was enqueued", count(int64(bad), "bad line"))
}

func (a *app) badLines(r io.Reader, name string, seen firstLines) (bad int) {
	for item, err := range pipeline.ReadItems(r, name) {
		if err == nil {
			err = seen.add(&item, name)
		}
		if err == nil {
			continue
		}
		if bad++; bad <= maxBadLines {
			fmt.Fprintln(a.stderr, err)
		}
	}
	return bad
}

// firstLines knows where the ids and idempotency keys of the files stood first.
type firstLines struct {
	ids  map[string]string // file:line
	keys map[string]bool
}

// add refuses an id that stood before. As in the queue, a known idempotency key
// makes a line a repetition of another and its id no matter.
func (s firstLines) add(item *pipeline.ItemLine, name string) error {
	if item.IdempotencyKey != "" {
		if s.keys[item.IdempotencyKey] {
			return nil
		}
		s.keys[item.IdempotencyKey] = true
	}
	if item.ID == "" {
		return nil
	}
	if first, taken := s.ids[item.ID]; taken {
		return fmt.Errorf("%s:%d: duplicate id %q, first at %s", name, item.Line, item.ID, first)
	}
	s.ids[item.ID] = fmt.Sprintf("%s:%d", name, item.Line)
	return nil
}

// enqueuer gathers items into batches.
type enqueuer struct {
	app    *app
	queue  pipeline.Queue
	name   string               // of the queue
	trace  *telemetry.Telemetry // nil without tracing
	batch  []pipeline.NewItem
	places []place // of the batch's items
	report enqueueReport
}

// place is where an item stood.
type place struct {
	file string
	line int
}

// failed says how much had become durable before err.
func (e *enqueuer) failed(err error) error {
	done := e.report.Enqueued + e.report.Duplicates
	var pe *pipeline.Error
	if errors.As(err, &pe) && (pe.Code == "bad-item" || pe.Code == "body-too-large") {
		return problem("", "%w; %s enqueued before it", err, count(int64(done), "item"))
	}
	return fmt.Errorf("%w; %s enqueued before it", err, count(int64(done), "item"))
}

func (e *enqueuer) files(ctx context.Context, files []string) error {
	for _, name := range files {
		if err := e.file(ctx, name); err != nil {
			return err
		}
	}
	return e.flush(ctx)
}

func (e *enqueuer) file(ctx context.Context, name string) error {
	r := e.app.stdin
	if name == "-" {
		name = "stdin"
	} else {
		f, err := os.Open(name)
		if err != nil {
			return err
		}
		defer f.Close()
		r = f
	}
	for item, err := range pipeline.ReadItems(r, name) {
		if err != nil {
			return err
		}
		if item.Trace.Parent == "" {
			item.Trace = e.trace.InjectEnqueue(ctx, e.name)
		}
		e.places = append(e.places, place{name, item.Line})
		if e.batch = append(e.batch, item.NewItem); len(e.batch) == enqueueBatch {
			if err := e.flush(ctx); err != nil {
				return err
			}
		}
	}
	return nil
}

func (e *enqueuer) flush(ctx context.Context) error {
	if len(e.batch) == 0 {
		return ctx.Err()
	}
	answers, err := e.queue.Enqueue(ctx, e.batch)
	if err != nil {
		return e.located(err)
	}
	for _, x := range answers {
		if x.Duplicate {
			e.report.Duplicates++
		} else {
			e.report.Enqueued++
		}
	}
	e.batch, e.places = e.batch[:0], e.places[:0]
	if isTerminal(e.app.stderr) {
		fmt.Fprintf(e.app.stderr, "\r%d enqueued", e.report.Enqueued)
	}
	return nil
}

// located adds the line of the item that the queue refused, if it says which one.
func (e *enqueuer) located(err error) error {
	var refused *pipeline.Error
	if !errors.As(err, &refused) || refused.Item == "" {
		return err
	}
	// The last of that id is the one to blame: any before it was taken.
	for i := len(e.batch) - 1; i >= 0; i-- {
		if e.batch[i].ID == refused.Item {
			return fmt.Errorf("%s:%d: %w", e.places[i].file, e.places[i].line, err)
		}
	}
	return err
}

func (a *app) printEnqueued(r enqueueReport) error {
	if isTerminal(a.stderr) {
		fmt.Fprint(a.stderr, "\r\x1b[K")
	}
	if a.json {
		return a.printJSON(r)
	}
	text := count(int64(r.Enqueued), "item") + " enqueued"
	if r.Duplicates > 0 {
		text += fmt.Sprintf(", %d already there", r.Duplicates)
	}
	_, err := fmt.Fprintln(a.stdout, text)
	return err
}
