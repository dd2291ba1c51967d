package cli

import (
	"context"

	"github.com/spf13/cobra"

	"github.com/waybill-dev/waybill/pipeline"
)

// unleased are the states of items that are nobody's.
var unleased = []pipeline.ItemState{pipeline.StateReady, pipeline.StateDone, pipeline.StateDead}

const leasedHint = "a leased item is its holder's; waybill queue cancel takes it away"

func (a *app) queueRetry() *cobra.Command {
	var flags changeFlags
	var all bool
	cmd := &cobra.Command{
		Use:   "retry [ID...]",
		Short: "Makes dead items ready again, with fresh attempts",
		Long:  "Makes dead items ready again, with fresh attempts and their history. Each takes its old place in the queue.",
		Example: "  waybill queue retry --from sqlite:var/queue.db --queue pages --older-than 1h --dry-run\n" +
			"  waybill queue retry --from sqlite:var/queue.db --queue pages --all",
	}
	cmd.Flags().BoolVar(&all, "all", false, "every dead item")
	c := change{verb: "retry", done: "retried", states: []pipeline.ItemState{pipeline.StateDead}, hint: "it is for dead ones",
		do: func(ctx context.Context, q pipeline.Queue, f pipeline.Filter) (int, error) { return q.Retry(ctx, f) }}
	return a.changing(cmd, c, &flags, func(ids []string) error {
		if len(ids) == 0 && flags.filterFlags == (filterFlags{}) && !all {
			return problem("name ids, a filter or --all", "retry of what?")
		}
		return nil
	})
}

func (a *app) queueDrop() *cobra.Command {
	c := change{verb: "drop", done: "dropped", states: unleased, hint: leasedHint, mass: true,
		do: func(ctx context.Context, q pipeline.Queue, f pipeline.Filter) (int, error) { return q.Drop(ctx, f) }}
	return a.changing(&cobra.Command{
		Use:   "drop [ID...]",
		Short: "Deletes items that are not leased",
		Long: "Deletes the items that match and are not leased; without a filter that is the whole queue. There is no\n" +
			"way back: waybill queue export keeps a copy. More than half of a queue is only deleted with --yes.",
		Example: "  waybill queue drop --from sqlite:var/queue.db --queue pages --state done --older-than 720h",
	}, c, new(changeFlags), nil)
}

func (a *app) queueCancel() *cobra.Command {
	c := change{verb: "cancel", done: "cancelled", states: []pipeline.ItemState{pipeline.StateReady, pipeline.StateLeased},
		hint: "it has ended", mass: true,
		do: func(ctx context.Context, q pipeline.Queue, f pipeline.Filter) (int, error) { return q.Cancel(ctx, f) }}
	return a.changing(&cobra.Command{
		Use:   "cancel [ID...]",
		Short: "Ends items that have not ended, also those being worked on",
		Long: "Asks that items run no more. One that is being worked on is taken from its worker. The next claim of\n" +
			"each ends it as dead (code cancelled), with its receipt, so a run must be there to do it; waybill\n" +
			"queue retry makes it ready again. More than half of a queue is only cancelled with --yes.",
		Example: "  waybill queue cancel --from sqlite:var/queue.db --queue pages --key example.com",
	}, c, new(changeFlags), nil)
}

func (a *app) queueMove() *cobra.Command {
	var to string
	cmd := &cobra.Command{
		Use:   "move [ID...] --to QUEUE",
		Short: "Puts items that are not leased into another queue of the same store",
		Long: "Puts items into another queue of the same store, which it makes if need be, at that queue's end, with\n" +
			"their state and history. Ids that are there already are an error, and then nothing is moved. More\n" +
			"than half of a queue is only moved with --yes.",
		Example: "  waybill queue move --from sqlite:var/queue.db --queue pages --state dead --to quarantine",
	}
	cmd.Flags().StringVar(&to, "to", "", "name of the other queue")
	c := change{verb: "move", done: "moved", states: unleased, hint: leasedHint, mass: true,
		do: func(ctx context.Context, q pipeline.Queue, f pipeline.Filter) (int, error) { return q.Move(ctx, f, to) }}
	return a.changing(cmd, c, new(changeFlags), func([]string) error {
		if err := required("to", to, "quarantine"); err != nil {
			return err
		}
		if from, _ := cmd.Flags().GetString("queue"); from == to {
			return problem("name another one with --to", "the items are in the queue %q already", to)
		}
		return nil
	})
}
