package cli

import (
	"context"
	"fmt"
	"slices"

	"github.com/waybill-dev/waybill/pipeline"
)

// previewIDs is how many ids a dry run shows.
const previewIDs = 10

// preview is the outcome of a dry run.
type preview struct {
	DryRun  bool     `json:"dryRun"`
	Matched int64    `json:"matched"`
	First   []string `json:"first"`
}

// preview says what a change would touch.
func (a *app) preview(ctx context.Context, q pipeline.Queue, c change, f pipeline.Filter) error {
	n, err := matched(ctx, q, f, c.states)
	if err != nil {
		return err
	}
	first, err := firstOf(ctx, q, f, c.states)
	if err != nil {
		return err
	}
	if err := a.printPreview(c.verb, n, first); err != nil {
		return err
	}
	missed, err := unmatched(ctx, q, f, c.states)
	if err != nil {
		return err
	}
	return missedError(c, missed)
}

// firstOf returns the oldest items of a filter that are in one of the states.
func firstOf(ctx context.Context, q pipeline.Queue, f pipeline.Filter, states []pipeline.ItemState) ([]string, error) {
	var all []pipeline.Entry
	f.Limit = previewIDs
	for _, s := range states {
		if f.State != "" && f.State != s {
			continue
		}
		one := f
		one.State = s
		entries, err := q.List(ctx, one)
		if err != nil {
			return nil, err
		}
		all = append(all, entries...)
	}
	slices.SortStableFunc(all, func(a, b pipeline.Entry) int {
		return a.Enqueued.Compare(b.Enqueued)
	})
	ids := []string{}
	for _, e := range all[:min(len(all), previewIDs)] {
		ids = append(ids, e.ID)
	}
	return ids, nil
}

func (a *app) printPreview(verb string, n int64, first []string) error {
	if a.json {
		return a.printJSON(preview{true, n, first})
	}
	fmt.Fprintf(a.stdout, "would %s: %d\n", verb, n)
	for _, id := range first {
		fmt.Fprintf(a.stdout, "  %s\n", plain(id))
	}
	if more := n - int64(len(first)); more > 0 {
		fmt.Fprintf(a.stdout, "  and %d more\n", more)
	}
	return nil
}
