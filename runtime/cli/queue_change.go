package cli

import (
	"context"
	"errors"
	"fmt"
	"math"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"github.com/waybill-dev/waybill/pipeline"
)

// change is a command that does something to the items of a filter.
type change struct {
	verb, done string // "drop", "dropped"
	// states are those whose items it may touch.
	states []pipeline.ItemState
	// hint is what to do about items in another state.
	hint string
	// mass: more than half of the queue only with --yes.
	mass bool
	do   func(ctx context.Context, q pipeline.Queue, f pipeline.Filter) (int, error)
}

// changeFlags are those of every such command.
type changeFlags struct {
	filterFlags
	dryRun, yes bool
}

func (a *app) changing(cmd *cobra.Command, c change, flags *changeFlags, check func(ids []string) error) *cobra.Command {
	flags.bind(cmd)
	bindDryRun(cmd, &flags.dryRun)
	if c.mass {
		cmd.Flags().BoolVar(&flags.yes, "yes", false, "also when it is more than half of the queue")
	}
	return a.onQueue(cmd, func(ctx context.Context, q pipeline.Queue, ids []string) error {
		f, err := flags.filter(ids)
		if err == nil && f.State != "" && !slices.Contains(c.states, f.State) {
			err = problem(c.hint, "%s does not touch %s items", c.verb, f.State)
		}
		if err == nil && check != nil {
			err = check(ids)
		}
		if err != nil {
			return err
		}
		if flags.dryRun {
			return a.preview(ctx, q, c, f)
		}
		return a.carryOut(ctx, q, c, f, flags.yes)
	})
}

func bindDryRun(cmd *cobra.Command, to *bool) {
	cmd.Flags().BoolVar(to, "dry-run", false, "change nothing, say what would be changed")
}

// carryOut does it, unless too much is at stake, and names the ids in vain.
func (a *app) carryOut(ctx context.Context, q pipeline.Queue, c change, f pipeline.Filter, yes bool) error {
	if c.mass && !yes {
		n, err := matched(ctx, q, f, c.states)
		if err := refuseMass(ctx, q, c.verb, n, err); err != nil {
			return err
		}
	}
	missed, err := unmatched(ctx, q, f, c.states)
	if err != nil {
		return err
	}
	end := a.waiting(c.verb)
	n, err := c.do(ctx, q, f)
	end()
	if err != nil {
		return err
	}
	return errors.Join(a.printCount(c.done, n), missedError(c, missed))
}

// matched counts the items of a filter that are in one of the states.
func matched(ctx context.Context, q pipeline.QueueTools, f pipeline.Filter, states []pipeline.ItemState) (total int64, err error) {
	for _, s := range states {
		if f.State != "" && f.State != s {
			continue
		}
		one := f
		one.State = s
		n, err := q.Count(ctx, one)
		if err != nil {
			return 0, err
		}
		total += n
	}
	return total, nil
}

// refuseMass fails when n items, counted with countErr, are more than half of
// the queue: a forgotten flag must not cost a queue. What could not be counted is
// not taken for nothing.
func refuseMass(ctx context.Context, q pipeline.QueueTools, verb string, n int64, countErr error) error {
	total := int64(0)
	if countErr == nil {
		total, countErr = q.Count(ctx, pipeline.Filter{})
	}
	if countErr != nil {
		return fmt.Errorf("refused: the items could not be counted: %w", countErr)
	}
	if 2*n > total {
		return problem("narrow it with ids or flags, see --dry-run, or add --yes", "refused: %s of %d of %d items", verb, n, total)
	}
	return nil
}

// unmatched returns the ids of the filter that no item fits which may be changed.
func unmatched(ctx context.Context, q pipeline.Queue, f pipeline.Filter, states []pipeline.ItemState) ([]string, error) {
	if len(f.IDs) == 0 {
		return nil, nil
	}
	f.Limit = math.MaxInt32
	entries, err := q.List(ctx, f)
	if err != nil {
		return nil, err
	}
	return slices.DeleteFunc(slices.Clone(f.IDs), func(id string) bool {
		return slices.ContainsFunc(entries, func(e pipeline.Entry) bool { return e.ID == id && slices.Contains(states, e.State) })
	}), nil
}

// missedError names the ids that nothing was done about; nil for none.
func missedError(c change, ids []string) error {
	if len(ids) == 0 {
		return nil
	}
	return &exitError{exitFailed, fmt.Errorf("nothing to %s: %s", c.verb, strings.Join(ids, ", ")),
		"only " + listed(c.states) + " items that are in the queue; waybill queue ls lists them"}
}

// printCount reports how many items a command changed.
func (a *app) printCount(verb string, n int) error {
	if a.json {
		return a.printJSON(map[string]int{verb: n})
	}
	_, err := fmt.Fprintf(a.stdout, "%s: %d\n", verb, n)
	return err
}
