package cli

import (
	"context"
	"errors"
	"fmt"
	"math"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/waybill-dev/waybill/pipeline"
)

func (a *app) queueCommand() *cobra.Command {
	return group(&cobra.Command{
		Use:     "queue",
		Short:   "Looks after a queue: stats, ls, show, retry, drop",
		Example: "  waybill queue stats --from sqlite:var/queue.db --queue pages",
	}, a.queueStats(), a.queueLs(), a.queueShow(), a.queueRetry(), a.queueDrop())
}

// onQueue makes a command that works on one existing queue.
func (a *app) onQueue(cmd *cobra.Command, run func(ctx context.Context, q pipeline.Queue, args []string) error) *cobra.Command {
	var flags queueFlags
	flags.bind(cmd, "from", "URL of the queue store, such as sqlite:var/queue.db")
	cmd.RunE = interruptible(func(cmd *cobra.Command, args []string) error {
		q, err := a.openQueue(cmd.Context(), flags, false)
		if err != nil {
			return err
		}
		return errors.Join(run(cmd.Context(), q, args), q.Close())
	})
	return cmd
}

func (a *app) queueStats() *cobra.Command {
	return a.onQueue(&cobra.Command{
		Use:     "stats",
		Short:   "Counts a queue's items by state",
		Example: "  waybill queue stats --from sqlite:var/queue.db --queue pages --json",
		Args:    args(cobra.NoArgs, "it takes no arguments"),
	}, func(ctx context.Context, q pipeline.Queue, _ []string) error {
		s, err := q.Stats(ctx)
		if err != nil {
			return err
		}
		if a.json {
			return a.printJSON(s)
		}
		row := []string{}
		for _, n := range []int64{s.Ready, s.Delayed, s.Leased, s.Done, s.Dead, s.Enqueued} {
			row = append(row, strconv.FormatInt(n, 10))
		}
		return table(a.stdout, [][]string{{"READY", "(DELAYED)", "LEASED", "DONE", "DEAD", "ENQUEUED"}, row})
	})
}

// filterFlags select entries.
type filterFlags struct {
	state, key string
}

func (f *filterFlags) bind(cmd *cobra.Command) {
	cmd.Flags().StringVar(&f.state, "state", "", "only items in this state: ready, leased, done or dead")
	cmd.Flags().StringVar(&f.key, "key", "", "only items with this key")
}

func (f *filterFlags) filter(ids []string) (pipeline.Filter, error) {
	out := pipeline.Filter{IDs: named(ids), State: pipeline.ItemState(f.state), Key: f.key}
	states := []string{"", string(pipeline.StateReady), string(pipeline.StateLeased), string(pipeline.StateDone), string(pipeline.StateDead)}
	for _, s := range states {
		if f.state == s {
			return out, nil
		}
	}
	return out, problem(suggest(f.state, states[1:], "states: ready, leased, done, dead"), "unknown state %q", f.state)
}

// named tells no ids on the command line (no filter) from an empty list of ids,
// which to a driver means none.
func named(ids []string) []string {
	if len(ids) == 0 {
		return nil
	}
	return ids
}

func (a *app) queueLs() *cobra.Command {
	var flags filterFlags
	var limit int
	cmd := &cobra.Command{
		Use:     "ls [ID...]",
		Short:   "Lists a queue's items, oldest first",
		Example: "  waybill queue ls --from sqlite:var/queue.db --queue pages --state dead",
	}
	flags.bind(cmd)
	cmd.Flags().IntVar(&limit, "limit", 100, "most items to list; 0 lists all")
	return a.onQueue(cmd, func(ctx context.Context, q pipeline.Queue, ids []string) error {
		f, err := flags.filter(ids)
		if err != nil {
			return err
		}
		if limit < 0 {
			return problem("", "--limit must not be negative")
		}
		if f.Limit = limit; limit == 0 {
			f.Limit = math.MaxInt32
		}
		entries, err := q.List(ctx, f)
		if err != nil {
			return err
		}
		return a.printEntries(entries, limit)
	})
}

func (a *app) printEntries(entries []pipeline.Entry, limit int) error {
	if a.json {
		for _, e := range entries {
			if err := a.printJSON(e); err != nil {
				return err
			}
		}
		return nil
	}
	now := time.Now()
	rows := [][]string{{"ID", "STATE", "RESULT", "KEY", "PRIORITY", "ATTEMPTS", "AGE", "OWNER", "ERROR"}}
	for _, e := range entries {
		rows = append(rows, []string{e.ID, string(e.State), dash(string(e.Result)), dash(oneLine(e.Key, 40)),
			strconv.Itoa(e.Priority), strconv.Itoa(e.Attempts), age(e.Enqueued, now), dash(e.Owner),
			dash(oneLine(e.Error, 100))})
	}
	if err := table(a.stdout, rows); err != nil {
		return err
	}
	if limit > 0 && len(entries) == limit {
		fmt.Fprintf(a.stderr, "the first %d; --limit 0 lists all\n", limit)
	}
	return nil
}

func dash(s string) string {
	if s == "" {
		return "-"
	}
	return s
}

func (a *app) queueShow() *cobra.Command {
	return a.onQueue(&cobra.Command{
		Use:     "show ID",
		Short:   "Shows one item with its body and history",
		Example: "  waybill queue show --from sqlite:var/queue.db --queue pages 42",
		Args:    args(cobra.ExactArgs(1), "name one item"),
	}, func(ctx context.Context, q pipeline.Queue, args []string) error {
		e, err := q.Show(ctx, args[0])
		if errors.Is(err, pipeline.ErrNotFound) {
			return problem("waybill queue ls lists the ids", "no item %q in the queue", args[0])
		}
		if err != nil {
			return err
		}
		if a.json {
			return a.printJSON(e)
		}
		return a.printEntry(e)
	})
}

func (a *app) printEntry(e pipeline.Entry) error {
	now := time.Now()
	rows := [][]string{
		{"id", e.ID}, {"queue", e.Queue}, {"state", string(e.State)}, {"result", dash(string(e.Result))}, {"digest", dash(string(e.Digest))},
		{"key", dash(e.Key)}, {"priority", strconv.Itoa(e.Priority)}, {"attempts", strconv.Itoa(e.Attempts)},
		{"enqueued", age(e.Enqueued, now) + " ago"}, {"trace", dash(e.Trace.Parent)}, {"body", oneLine(string(e.Body), 500)},
	}
	for k, v := range e.Meta {
		rows = append(rows, []string{"meta." + k, oneLine(v, 200)})
	}
	if err := table(a.stdout, rows); err != nil || len(e.History) == 0 {
		return err
	}
	rows = [][]string{{"\nAGO", "ATTEMPT", "WHAT", "CODE", "STAGE", "ERROR"}}
	for _, h := range e.History {
		rows = append(rows, []string{age(h.At, now), strconv.Itoa(h.Attempt), h.What, dash(h.Code), dash(h.Stage), oneLine(h.Error, 200)})
	}
	return table(a.stdout, rows)
}

func (a *app) queueRetry() *cobra.Command {
	var key string
	var all bool
	cmd := &cobra.Command{
		Use:     "retry [ID...]",
		Short:   "Makes dead items ready again, with fresh attempts",
		Example: "  waybill queue retry --from sqlite:var/queue.db --queue pages --all",
	}
	cmd.Flags().StringVar(&key, "key", "", "dead items with this key")
	cmd.Flags().BoolVar(&all, "all", false, "every dead item")
	return a.onQueue(cmd, func(ctx context.Context, q pipeline.Queue, ids []string) error {
		if len(ids) == 0 && key == "" && !all {
			return problem("name ids, --key or --all", "retry of what?")
		}
		f := pipeline.Filter{IDs: named(ids), Key: key, State: pipeline.StateDead}
		missed, err := unmatched(ctx, q, f)
		if err != nil {
			return err
		}
		n, err := q.Retry(ctx, f)
		if err != nil {
			return err
		}
		return errors.Join(a.printCount("retried", n), missedError("dead ", missed))
	})
}

// unmatched returns the ids of the filter that no item fits which may be changed: a
// leased one is its holder's.
func unmatched(ctx context.Context, q pipeline.Queue, f pipeline.Filter) ([]string, error) {
	if len(f.IDs) == 0 {
		return nil, nil
	}
	f.Limit = math.MaxInt32
	entries, err := q.List(ctx, f)
	if err != nil {
		return nil, err
	}
	return slices.DeleteFunc(slices.Clone(f.IDs), func(id string) bool {
		return slices.ContainsFunc(entries, func(e pipeline.Entry) bool { return e.ID == id && e.State != pipeline.StateLeased })
	}), nil
}

// missedError names the ids that nothing was done about; nil for none.
func missedError(what string, ids []string) error {
	if len(ids) == 0 {
		return nil
	}
	return &exitError{exitFailed, fmt.Errorf("no %sitem %s", what, strings.Join(ids, ", ")), "waybill queue ls lists the items"}
}

// printCount reports how many items a command changed.
func (a *app) printCount(verb string, n int) error {
	if a.json {
		return a.printJSON(map[string]int{verb: n})
	}
	_, err := fmt.Fprintf(a.stdout, "%s: %d\n", verb, n)
	return err
}

func (a *app) queueDrop() *cobra.Command {
	var flags filterFlags
	var yes bool
	cmd := &cobra.Command{
		Use:   "drop [ID...]",
		Short: "Deletes items that are not leased",
		Long: "Deletes the items that match and are not leased; without a filter that is the whole queue.\n" +
			"More than half of a queue is only deleted with --yes.",
		Example: "  waybill queue drop --from sqlite:var/queue.db --queue pages --state done",
	}
	flags.bind(cmd)
	cmd.Flags().BoolVar(&yes, "yes", false, "also when it deletes more than half of the queue")
	return a.onQueue(cmd, func(ctx context.Context, q pipeline.Queue, ids []string) error {
		f, err := flags.filter(ids)
		if err != nil {
			return err
		}
		if !yes {
			if err := refuseMassDrop(ctx, q, f); err != nil {
				return err
			}
		}
		missed, err := unmatched(ctx, q, f)
		if err != nil {
			return err
		}
		n, err := q.Drop(ctx, f)
		if err != nil {
			return err
		}
		return errors.Join(a.printCount("dropped", n), missedError("droppable ", missed))
	})
}

// refuseMassDrop fails when the filter matches more than half of the queue: a
// forgotten flag must not cost a queue.
func refuseMassDrop(ctx context.Context, q pipeline.Queue, f pipeline.Filter) error {
	s, err := q.Stats(ctx)
	if err != nil {
		return err
	}
	f.Limit = math.MaxInt32
	entries, err := q.List(ctx, f)
	if err != nil {
		return err
	}
	n := int64(0)
	for _, e := range entries {
		if e.State != pipeline.StateLeased {
			n++
		}
	}
	if 2*n > s.Enqueued {
		return problem("narrow it with ids, --state or --key, or add --yes", "refused: this deletes %d of %d items", n, s.Enqueued)
	}
	return nil
}
