package cli

import (
	"context"
	"fmt"

	"github.com/spf13/cobra"

	"github.com/waybill-dev/waybill/pipeline"
)

func (a *app) queuePause() *cobra.Command {
	return a.pausing(&cobra.Command{
		Use:   "pause",
		Short: "Stops claims from a queue, in every process, until resume",
		Long: "Stops claims from a queue, in every process and across restarts, until waybill queue resume. What is\n" +
			"being worked on goes on and ends as ever; items can be enqueued.",
		Example: "  waybill queue pause --from sqlite:var/queue.db --queue pages",
	}, true)
}

func (a *app) queueResume() *cobra.Command {
	return a.pausing(&cobra.Command{
		Use:     "resume",
		Short:   "Lets a paused queue be claimed from again",
		Example: "  waybill queue resume --from sqlite:var/queue.db --queue pages",
	}, false)
}

func (a *app) pausing(cmd *cobra.Command, paused bool) *cobra.Command {
	verb, done := "resume", "resumed"
	if paused {
		verb, done = "pause", "paused"
	}
	var dryRun bool
	bindDryRun(cmd, &dryRun)
	cmd.Args = args(cobra.NoArgs, "it takes no arguments")
	return a.onQueue(cmd, func(ctx context.Context, q pipeline.Queue, _ []string) error {
		if dryRun {
			return a.preview(ctx, q, change{verb: verb, states: []pipeline.ItemState{pipeline.StateReady}}, pipeline.Filter{})
		}
		if err := q.Pause(ctx, paused); err != nil {
			return err
		}
		if a.json {
			return a.printJSON(map[string]bool{"paused": paused})
		}
		_, err := fmt.Fprintln(a.stdout, done)
		return err
	})
}
