package cli

import (
	"context"
	"errors"

	"github.com/spf13/cobra"

	"github.com/waybill-dev/waybill/pipeline"
)

func (a *app) queueCommand() *cobra.Command {
	return group(&cobra.Command{
		Use:     "queue",
		Short:   "Looks after a queue: stats, ls, show, retry, drop, cancel, move, pause, resume, export, import, compact",
		Example: "  waybill queue stats --from sqlite:var/queue.db --queue pages",
	},
		a.queueStats(), a.queueLs(), a.queueShow(),
		a.queueRetry(), a.queueDrop(), a.queueCancel(), a.queueMove(),
		a.queuePause(), a.queueResume(),
		a.queueExport(), a.queueImport(), a.queueCompact())
}

// onQueue makes a command that works on one existing queue.
func (a *app) onQueue(cmd *cobra.Command, run func(ctx context.Context, q pipeline.Queue, args []string) error) *cobra.Command {
	var flags queueFlags
	flags.bind(cmd, "from", "URL of the queue store, such as sqlite:var/queue.db")
	cmd.RunE = interruptible(func(cmd *cobra.Command, args []string) error {
		return a.withQueue(cmd.Context(), flags, false, func(q pipeline.Queue) error { return run(cmd.Context(), q, args) })
	})
	return cmd
}

// withQueue opens a queue for as long as use takes; create makes what is missing.
func (a *app) withQueue(ctx context.Context, flags queueFlags, create bool, use func(pipeline.Queue) error) error {
	q, err := a.openQueue(ctx, flags, create)
	if err != nil {
		return err
	}
	return errors.Join(use(q), q.Close())
}
