package cli

import (
	"context"
	"fmt"
	"time"

	"github.com/spf13/cobra"

	"github.com/waybill-dev/waybill/pipeline"
)

func (a *app) queueCompact() *cobra.Command {
	var keep durationFlag
	var dryRun, yes bool
	cmd := &cobra.Command{
		Use:   "compact --keep DURATION",
		Short: "Deletes items that were done long ago and gives their space back",
		Long: "Deletes items that were done at least --keep ago, with their history, and gives the space of everything\n" +
			"deleted back where the store can. Dead ones stay; waybill queue drop --state dead takes them. More than\n" +
			"half of a queue is only deleted with --yes.",
		Example: "  waybill queue compact --from sqlite:var/queue.db --queue pages --keep 168h --dry-run",
		Args:    args(cobra.NoArgs, "it takes no arguments"),
	}
	cmd.Flags().Var(&keep, "keep", "how long done items are kept, such as 168h; 0s keeps none")
	bindDryRun(cmd, &dryRun)
	cmd.Flags().BoolVar(&yes, "yes", false, "also when it is more than half of the queue")
	return a.onQueue(cmd, func(ctx context.Context, q pipeline.Queue, _ []string) error {
		if !cmd.Flags().Changed("keep") {
			return required("keep", "", "168h")
		}
		if dryRun || !yes {
			n, first, err := ended(ctx, q, time.Duration(keep))
			if dryRun && err == nil {
				return a.printPreview("compact", n, first)
			}
			if err := refuseMass(ctx, q, "compact", n, err); err != nil {
				return err
			}
		}
		end := a.waiting("compact")
		done, err := q.Compact(ctx, time.Duration(keep))
		end()
		if err != nil {
			return err
		}
		return a.printCompaction(done)
	})
}

// ended counts the items that were done at least keep ago and returns the ids of the
// first. No filter selects by the end, so it reads those that were enqueued as
// long ago.
func ended(ctx context.Context, q pipeline.Queue, keep time.Duration) (n int64, first []string, err error) {
	now, err := storeTime(ctx, q)
	if err != nil {
		return 0, nil, err
	}
	first = []string{}
	err = q.Export(ctx, pipeline.Filter{State: pipeline.StateDone, OlderThan: keep}, func(e pipeline.Entry) error {
		if e.Ended.After(now.Add(-keep)) {
			return nil
		}
		if n++; len(first) < previewIDs {
			first = append(first, e.ID)
		}
		return ctx.Err()
	})
	return n, first, err
}

// storeTime returns the time by the queue's clock.
func storeTime(ctx context.Context, q pipeline.Queue) (time.Time, error) {
	_, now, err := q.Records(ctx, "clock/")
	return now, err
}

func (a *app) printCompaction(c pipeline.Compaction) error {
	if a.json {
		return a.printJSON(c)
	}
	text := fmt.Sprintf("deleted: %d", c.Deleted)
	if c.Before > 0 {
		text += fmt.Sprintf(", %s before, %s now", bytesText(c.Before), bytesText(c.After))
	}
	_, err := fmt.Fprintln(a.stdout, text)
	return err
}

// bytesText renders a size with a binary unit.
func bytesText(n int64) string {
	const kib = 1 << 10
	switch {
	case n < kib:
		return fmt.Sprintf("%d B", n)
	case n < kib*kib:
		return fmt.Sprintf("%.1f KiB", float64(n)/kib)
	}
	return fmt.Sprintf("%.1f MiB", float64(n)/(kib*kib))
}
