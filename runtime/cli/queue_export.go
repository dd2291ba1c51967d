package cli

import (
	"context"
	"fmt"
	"io"

	"github.com/spf13/cobra"

	"github.com/waybill-dev/waybill/pipeline"
)

func (a *app) queueExport() *cobra.Command {
	var flags filterFlags
	var to string
	cmd := &cobra.Command{
		Use:   "export [ID...]",
		Short: "Writes items with their state, history and body as JSON lines",
		Long: "Writes items with their state, history and body as JSON lines, oldest first, for waybill queue import.\n" +
			"The last line has their count and digest, so that a copy that was cut off is found out. A file is\n" +
			"replaced only by a whole one; one whose name ends in .gz is compressed.",
		Example: "  waybill queue export --from sqlite:var/queue.db --queue pages --to pages.jsonl.gz\n" +
			"  waybill queue export --from sqlite:q.db | waybill queue import --to nats://host:4222 -",
	}
	flags.bind(cmd)
	cmd.Flags().StringVar(&to, "to", "-", "file to write; - is standard output")
	return a.onQueue(cmd, func(ctx context.Context, q pipeline.Queue, ids []string) error {
		f, err := flags.filter(ids)
		if err != nil {
			return err
		}
		var n int64
		write := func(w io.Writer) error {
			n, err = a.dump(ctx, q, f, w)
			return err
		}
		if to == "-" {
			if err := write(a.stdout); err != nil {
				return err
			}
			_, err = fmt.Fprintf(a.stderr, "%s exported\n", count(n, "item"))
			return err
		}
		if err := writeWhole(to, write); err != nil {
			return err
		}
		return a.printCount("exported", int(n))
	})
}

// dump writes the entries of a filter and returns how many.
func (a *app) dump(ctx context.Context, q pipeline.QueueTools, f pipeline.Filter, w io.Writer) (int64, error) {
	d, c := newDumpWriter(w), a.counter("exported")
	defer c.end()
	err := q.Export(ctx, f, func(e pipeline.Entry) error {
		if err := ctx.Err(); err != nil {
			return err
		}
		c.show(d.sum.n)
		return d.add(e)
	})
	if err != nil {
		return 0, err
	}
	return d.sum.n, d.end()
}
