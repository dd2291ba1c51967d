package cli

import (
	"context"
	"errors"
	"fmt"
	"os"
	"time"

	"github.com/spf13/cobra"

	"github.com/waybill-dev/waybill/pipeline"
	"github.com/waybill-dev/waybill/runtime/telemetry"
)

// enqueueBatch is how many items one durable write takes: large enough to hide
// the flush, small enough for every driver's limits.
const enqueueBatch = 1000

// enqueueReport is the outcome of enqueue.
type enqueueReport struct {
	Enqueued   int `json:"enqueued"`
	Duplicates int `json:"duplicates"`
}

// enqueueFlags are those of enqueue beside the queue's.
type enqueueFlags struct {
	queue  queueFlags
	scope  string
	ttl    durationFlag
	bodies string
}

func (a *app) enqueueCommand() *cobra.Command {
	var flags enqueueFlags
	cmd := &cobra.Command{
		Use:   "enqueue FILE...",
		Short: "Puts items into a queue, one JSON object per line",
		Long: "Puts items into a queue and makes the queue if it is missing. Each line is an object with body and,\n" +
			"optionally, id, key, idempotencyKey, idempotencyScope, idempotencyTTL, meta, priority (0-9),\n" +
			"notBefore, deadline, maxAttempts. Numbers and bools in meta become text.\n" +
			"- reads standard input. Files are checked whole, repeated ids included, before the first item is\n" +
			"enqueued; standard input is enqueued in batches of 1000, each all or nothing.\n" +
			"A body has 1 MiB at most. With --bodies one of up to 64 MiB is put into that object store, and the\n" +
			"item refers to it: the stage claim needs the store too (bodies: URL).",
		Example: "  waybill enqueue --to sqlite:var/queue.db --queue pages items.jsonl\n" +
			"  waybill enqueue --to sqlite:var/queue.db --bodies file:var/objects large.jsonl\n" +
			"  echo '{\"key\":\"example.com\",\"body\":{\"url\":\"https://example.com/\"}}' | waybill enqueue --to sqlite:q.db -",
		Args: args(cobra.MinimumNArgs(1), "name files of JSON lines, or -"),
	}
	flags.queue.bind(cmd, "to", "URL of the queue store, such as sqlite:var/queue.db")
	cmd.Flags().StringVar(&flags.scope, "idempotency-scope", "", "how long the idempotency keys of lines that do not say it are known:\n"+
		"item (default), as long as the item is there, or active, until it has ended")
	cmd.Flags().Var(&flags.ttl, "idempotency-ttl", "the most that the idempotency keys of lines that do not say it are known, such as 24h")
	cmd.Flags().StringVar(&flags.bodies, "bodies", "", "URL of an object store for bodies over 1 MiB, such as file:var/objects")
	cmd.RunE = interruptible(func(cmd *cobra.Command, files []string) error {
		if _, err := oneOf("idempotency scope", flags.scope, []string{pipeline.ScopeItem, pipeline.ScopeActive}); err != nil {
			return err
		}
		if t := time.Duration(flags.ttl); t > 0 && t < time.Millisecond {
			return problem("leave it out for no end", "--idempotency-ttl %s: want 1ms or more", t)
		}
		e := &enqueuer{app: a, flags: flags}
		if err := e.validateFiles(files); err != nil {
			return err
		}
		return e.run(cmd.Context(), files)
	})
	return cmd
}

// enqueuer gathers items into batches.
type enqueuer struct {
	app    *app
	flags  enqueueFlags
	queue  pipeline.Queue
	bodies pipeline.Objects     // nil without --bodies
	trace  *telemetry.Telemetry // nil without tracing
	batch  []pipeline.NewItem
	places []place // of the batch's items
	report enqueueReport
	shown  *counter
}

// place is where an item stood.
type place struct {
	file string
	line int
}

func (e *enqueuer) run(ctx context.Context, files []string) (err error) {
	a := e.app
	if e.queue, err = a.openQueue(ctx, e.flags.queue, true); err != nil {
		return err
	}
	if e.flags.bodies != "" {
		if e.bodies, err = a.openStore(ctx, "bodies", e.flags.bodies, true); err != nil {
			return errors.Join(err, e.queue.Close())
		}
	}
	e.shown = a.counter("enqueued")
	if e.trace, err = telemetry.New(ctx, telemetry.Options{Version: a.version().Version}); err == nil {
		err = e.files(telemetry.FromEnvironment(ctx, os.Getenv), files)
	}
	e.shown.end()
	a.reportSpans(e.trace)
	if e.bodies != nil {
		err = errors.Join(err, e.bodies.Close())
	}
	if err = errors.Join(err, e.queue.Close()); err != nil {
		return e.failed(err)
	}
	return a.printEnqueued(e.report)
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
	for item, err := range e.items(r, name) {
		if err != nil {
			return err
		}
		if item.Trace.Parent == "" {
			item.Trace = e.trace.InjectEnqueue(ctx, e.flags.queue.name)
		}
		if err := e.refer(ctx, &item.NewItem); err != nil {
			return fmt.Errorf("%s:%d: %w", name, item.Line, err)
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

// refer keeps a body that is too large for a queue in the object store, before
// anything refers to it.
func (e *enqueuer) refer(ctx context.Context, it *pipeline.NewItem) error {
	if len(it.Body) <= pipeline.MaxItemBody {
		return nil
	}
	ref := pipeline.BodyRef{Digest: pipeline.DigestOf(it.Body), Size: int64(len(it.Body))}
	if _, err := e.bodies.Put(ctx, []pipeline.Blob{{Digest: ref.Digest, MediaType: pipeline.MediaJSON, Data: it.Body}}); err != nil {
		return fmt.Errorf("the body cannot be put into %s: %w", e.flags.bodies, err)
	}
	if it.Meta == nil {
		it.Meta = map[string]string{}
	}
	it.Meta[pipeline.MetaBody], it.Body = ref.String(), nil
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
	e.shown.show(int64(e.report.Enqueued))
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
