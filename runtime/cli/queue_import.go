package cli

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"

	"github.com/spf13/cobra"

	"github.com/waybill-dev/waybill/pipeline"
)

// importBatch is how many entries one call imports, all or none.
const importBatch = 500

// importReport is the outcome of import.
type importReport struct {
	Imported int `json:"imported"`
	// There counts ids that the queue had already.
	There  int  `json:"there"`
	DryRun bool `json:"dryRun,omitempty"`
}

func (a *app) queueImport() *cobra.Command {
	var flags queueFlags
	var dryRun bool
	cmd := &cobra.Command{
		Use:   "import FILE",
		Short: "Puts exported items into a queue, with their state and history",
		Long: "Puts what waybill queue export wrote into a queue, of any driver, and makes the queue if it is missing.\n" +
			"What was leased is ready, what had ended has ended; ids that are there already are left as they are.\n" +
			"- reads standard input. A file is checked whole before the first item is imported; items are\n" +
			"imported in batches of 500, each all or nothing, so that it can be run again after an error.",
		Example: "  waybill queue import --to sqlite:var/queue.db --queue pages pages.jsonl.gz",
		Args:    args(cobra.ExactArgs(1), "name one file that waybill queue export wrote, or -"),
	}
	flags.bind(cmd, "to", "URL of the queue store, such as sqlite:var/queue.db")
	bindDryRun(cmd, &dryRun)
	cmd.RunE = interruptible(func(cmd *cobra.Command, args []string) error {
		ctx, name := cmd.Context(), args[0]
		if err := a.checkDump(name); err != nil {
			return err
		}
		i := &importer{app: a, report: importReport{DryRun: dryRun}}
		err := a.withQueue(ctx, flags, !dryRun, func(q pipeline.Queue) error {
			i.queue = q
			return i.file(ctx, name)
		})
		if dryRun && errors.Is(err, pipeline.ErrNoQueue) { // it would be made
			err = i.file(ctx, name)
		}
		if err != nil {
			return i.failed(err)
		}
		return i.print()
	})
	return cmd
}

// openDump opens a file, or standard input as "-".
func (a *app) openDump(name string) (r io.Reader, label string, closer func() error, err error) {
	r, label, closer = a.stdin, "stdin", func() error { return nil }
	if name != "-" {
		f, err := os.Open(name)
		if err != nil {
			return nil, name, closer, problem("", "%w", err)
		}
		r, label, closer = f, name, f.Close
	}
	if r, err = inflate(r); err != nil {
		return nil, label, closer, errors.Join(problem("", "%s: %w", label, err), closer())
	}
	return r, label, closer, nil
}

// checkDump reads a regular file to its end and names the bad lines, so that
// nothing is imported half. What is no file can be read only once.
func (a *app) checkDump(name string) error {
	if info, err := os.Stat(name); name == "-" || err == nil && !info.Mode().IsRegular() {
		return nil
	}
	r, label, closer, err := a.openDump(name)
	if err != nil {
		return err
	}
	defer closer()
	bad := 0
	for _, err := range readDump(r, label) {
		if errors.As(err, new(*brokenDump)) {
			return problem("export it again", "%w; nothing was imported", err)
		}
		if err == nil {
			continue
		}
		if bad++; bad <= maxBadLines {
			fmt.Fprintln(a.stderr, plain(err.Error()))
		}
	}
	if bad > 0 {
		return problem("", "%s; nothing was imported", count(int64(bad), "bad line"))
	}
	return nil
}

// importer gathers entries into batches.
type importer struct {
	app    *app
	queue  pipeline.Queue // nil if there is none yet, in a dry run
	batch  []dumpEntry
	report importReport
}

func (i *importer) file(ctx context.Context, name string) (err error) {
	r, label, closer, err := i.app.openDump(name)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, closer()) }()
	c := i.app.counter("imported")
	defer c.end()
	for e, err := range readDump(r, label) {
		if err != nil {
			return problem("", "%w", err)
		}
		if i.batch = append(i.batch, e); len(i.batch) == importBatch {
			if err := i.flush(ctx, label); err != nil {
				return err
			}
			c.show(int64(i.report.Imported))
		}
	}
	return i.flush(ctx, label)
}

func (i *importer) flush(ctx context.Context, label string) error {
	if err := ctx.Err(); err != nil || len(i.batch) == 0 {
		return err
	}
	n, err := i.add(ctx)
	if err != nil {
		return i.located(label, err)
	}
	i.report.Imported += n
	i.report.There += len(i.batch) - n
	i.batch = i.batch[:0]
	return nil
}

// add imports the batch, or in a dry run finds out how many it would add.
func (i *importer) add(ctx context.Context) (int, error) {
	if i.queue == nil {
		return len(i.batch), nil
	}
	if i.report.DryRun {
		f := pipeline.Filter{}
		for _, e := range i.batch {
			f.IDs = append(f.IDs, e.ID)
		}
		there, err := i.queue.Count(ctx, f)
		return len(i.batch) - int(there), err
	}
	entries := make([]pipeline.Entry, len(i.batch))
	for j, e := range i.batch {
		entries[j] = e.Entry
	}
	return i.queue.Import(ctx, entries)
}

// located adds the line of the entry that the queue refused, if it says which one.
func (i *importer) located(label string, err error) error {
	var refused *pipeline.Error
	if errors.As(err, &refused) && refused.Item != "" {
		for _, e := range i.batch {
			if e.ID == refused.Item {
				return fmt.Errorf("%s:%d: %w", label, e.line, err)
			}
		}
	}
	return err
}

// failed says how much had become durable before err.
func (i *importer) failed(err error) error {
	if i.report.DryRun {
		return err
	}
	return fmt.Errorf("%w; %s imported before it", err, count(int64(i.report.Imported), "item"))
}

func (i *importer) print() error {
	a, r := i.app, i.report
	if a.json {
		return a.printJSON(r)
	}
	text := count(int64(r.Imported), "item") + " imported"
	if r.DryRun {
		text = "would import: " + fmt.Sprint(r.Imported)
	}
	if r.There > 0 {
		text += fmt.Sprintf(", %d already there", r.There)
	}
	_, err := fmt.Fprintln(a.stdout, text)
	return err
}
