package cli

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"math"
	"slices"
	"strconv"
	"time"

	"github.com/spf13/cobra"

	"github.com/waybill-dev/waybill/pipeline"
)

func (a *app) queueStats() *cobra.Command {
	return a.onQueue(&cobra.Command{
		Use:   "stats",
		Short: "Counts a queue's items by state",
		Long: "Counts a queue's items by state. AGE is how long the claimable item that waits longest has been in\n" +
			"the queue: with READY minus DELAYED the signal to scale by.",
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
		paused, waits := "no", "-"
		if s.Paused {
			paused = "yes"
		}
		if s.AgeSeconds > 0 {
			waits = span(time.Duration(s.AgeSeconds * float64(time.Second)))
		}
		return table(a.stdout, [][]string{
			{"READY", "(DELAYED)", "LEASED", "DONE", "DEAD", "ENQUEUED", "PAUSED", "AGE"}, append(row, paused, waits)})
	})
}

func (a *app) queueLs() *cobra.Command {
	var flags filterFlags
	var limit int
	cmd := &cobra.Command{
		Use:     "ls [ID...]",
		Short:   "Lists a queue's items, oldest first",
		Example: "  waybill queue ls --from sqlite:var/queue.db --queue pages --state dead --older-than 24h",
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
		{"enqueued", age(e.Enqueued, now) + " ago"},
	}
	for _, more := range [][]string{
		{"owner", e.Owner}, {"not before", moment(e.NotBefore)}, {"deadline", moment(e.Deadline)}, {"lease until", moment(e.LeaseUntil)},
		{"ended", moment(e.Ended)}, {"idempotency key", e.IdempotencyKey}, {"cancelled", yes(e.Cancelled)},
	} {
		if more[1] != "" {
			rows = append(rows, more)
		}
	}
	rows = append(rows, []string{"trace", dash(e.Trace.Parent)}, []string{"body", oneLine(string(e.Body), 500)})
	for _, k := range slices.Sorted(maps.Keys(e.Meta)) {
		rows = append(rows, []string{"meta." + k, oneLine(e.Meta[k], 200)})
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

// moment renders a time, the zero time as nothing.
func moment(t time.Time) string {
	if t.IsZero() {
		return ""
	}
	return t.UTC().Format(time.RFC3339)
}

func yes(b bool) string {
	if b {
		return "yes"
	}
	return ""
}
