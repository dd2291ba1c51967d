package cli

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"time"

	"github.com/spf13/cobra"

	"github.com/waybill-dev/waybill/pipeline"
	"github.com/waybill-dev/waybill/runtime/cluster"
)

// queueStatus is a queue and the processes that run on it.
type queueStatus struct {
	Queue string `json:"queue"`
	pipeline.QueueStats
	Workers []cluster.Worker `json:"workers"`
}

func (a *app) statusCommand() *cobra.Command {
	var flags queueFlags
	var all bool
	cmd := &cobra.Command{
		Use:   "status",
		Short: "Shows a queue and the processes that run on it",
		Long: "Shows a queue and the processes that run on it, on whatever machine. LANES are the key lanes that a\n" +
			"worker holds (claim: { lanes: leased }). A worker that was killed is listed for some seconds more.",
		Example: "  waybill status --from sqlite:var/queue.db --queue pages\n  waybill status --from sqlite:var/queue.db --queue pages --all --json",
		Args:    args(cobra.NoArgs, "it takes no arguments"),
	}
	flags.bind(cmd, "from", "URL of the queue store, such as sqlite:var/queue.db")
	cmd.Flags().BoolVar(&all, "all", false, "every queue of the store, not only --queue")
	cmd.RunE = interruptible(func(cmd *cobra.Command, _ []string) error {
		q, err := a.openQueue(cmd.Context(), flags, false)
		if errors.Is(err, pipeline.ErrNoQueue) && all {
			return problem("name any queue of the store with --queue", "%w", err)
		}
		if err != nil {
			return err
		}
		return errors.Join(a.printStatus(cmd.Context(), q, flags, all), q.Close())
	})
	return cmd
}

// printStatus reads everything before it prints.
func (a *app) printStatus(ctx context.Context, q pipeline.Queue, flags queueFlags, all bool) error {
	names := []string{flags.name}
	if all {
		var err error
		if names, err = q.Queues(ctx); err != nil {
			return err
		}
	}
	workers, now, err := cluster.Workers(ctx, q, "")
	if err != nil {
		return err
	}
	found := make([]queueStatus, 0, len(names))
	for _, name := range names {
		st := queueStatus{Queue: name, Workers: []cluster.Worker{}}
		if st.QueueStats, err = a.statsOf(ctx, q, flags, name); err != nil {
			return err
		}
		for _, w := range workers {
			if w.Queue == name {
				st.Workers = append(st.Workers, w)
			}
		}
		found = append(found, st)
	}
	for i, st := range found {
		if err := a.printQueue(st, now, i > 0); err != nil {
			return err
		}
	}
	return nil
}

// statsOf counts one queue of the store that q is in.
func (a *app) statsOf(ctx context.Context, q pipeline.Queue, flags queueFlags, name string) (pipeline.QueueStats, error) {
	if name == flags.name {
		return q.Stats(ctx)
	}
	flags.name = name
	other, err := a.openQueue(ctx, flags, false)
	if err != nil {
		return pipeline.QueueStats{}, err
	}
	s, err := other.Stats(ctx)
	return s, errors.Join(err, other.Close())
}

func (a *app) printQueue(st queueStatus, now time.Time, more bool) error {
	if a.json {
		return a.printJSON(st)
	}
	if more {
		fmt.Fprintln(a.stdout)
	}
	fmt.Fprintf(a.stdout, "queue %s: %s\n", st.Queue, standing(st.QueueStats))
	if len(st.Workers) == 0 {
		_, err := fmt.Fprintln(a.stdout, "nobody runs on it")
		return err
	}
	rows := [][]string{{"WORKER", "HOST", "PID", "PIPELINE", "VERSION", "FILE", "UP", "LANES", "CLAIMED", "IN FLIGHT", "OK", "SKIPPED", "FAILED", "DEAD"}}
	for _, w := range st.Workers {
		rows = append(rows, slices.Concat([]string{plain(w.Run), plain(w.Host), strconv.Itoa(w.PID), plain(w.Pipeline), version(w.Version),
			shortDigest(w.Digest), age(w.Started, now), lanes(w)}, numbers(w.Claimed, w.InFlight, w.Succeeded, w.Skipped, w.Failed, w.Dead)))
	}
	return table(a.stdout, rows)
}

// standing is a queue's statistics on one line.
func standing(s pipeline.QueueStats) string {
	text := fmt.Sprintf("%d ready (%d delayed), %d leased, %d done, %d dead", s.Ready, s.Delayed, s.Leased, s.Done, s.Dead)
	if s.AgeSeconds > 0 {
		text += ", the oldest waits since " + span(time.Duration(s.AgeSeconds*float64(time.Second)))
	}
	if s.Paused {
		text += ", PAUSED"
	}
	return text
}

func version(v int) string {
	if v == 0 {
		return "-"
	}
	return strconv.Itoa(v)
}

// shortDigest is enough of a digest to tell files apart.
func shortDigest(d pipeline.Digest) string {
	const head = len("sha256:")
	if len(d) < head+8 {
		return dash(string(d))
	}
	return string(d[head : head+8])
}

func lanes(w cluster.Worker) string {
	if !w.Leased {
		return "any"
	}
	return strconv.Itoa(w.Lanes.Count())
}

func numbers(all ...int64) []string {
	out := make([]string, len(all))
	for i, n := range all {
		out[i] = strconv.FormatInt(n, 10)
	}
	return out
}
