package cli

import (
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/waybill-dev/waybill/pipeline"
)

var (
	itemStates  = []pipeline.ItemState{pipeline.StateReady, pipeline.StateLeased, pipeline.StateDone, pipeline.StateDead}
	itemResults = []pipeline.Result{pipeline.Succeeded, pipeline.Skipped, pipeline.Dropped, pipeline.Dead}
)

// filterFlags select entries.
type filterFlags struct {
	state, key, result string
	olderThan          durationFlag
}

func (f *filterFlags) bind(cmd *cobra.Command) {
	cmd.Flags().StringVar(&f.state, "state", "", "only items in this state: "+listed(itemStates))
	cmd.Flags().StringVar(&f.key, "key", "", "only items with this key")
	cmd.Flags().StringVar(&f.result, "result", "", "only items that ended so: "+listed(itemResults))
	cmd.Flags().Var(&f.olderThan, "older-than", "only items enqueued at least that long ago, such as 24h")
}

// filter returns what the flags and the ids on the command line select.
func (f *filterFlags) filter(ids []string) (pipeline.Filter, error) {
	out := pipeline.Filter{IDs: named(ids), Key: f.key, OlderThan: time.Duration(f.olderThan)}
	var err error
	if out.State, err = oneOf("state", f.state, itemStates); err != nil {
		return out, err
	}
	out.Result, err = oneOf("result", f.result, itemResults)
	return out, err
}

// oneOf checks a word of the command line; the empty one is always right.
func oneOf[T ~string](what, word string, known []T) (T, error) {
	if word == "" {
		return "", nil
	}
	words := make([]string, len(known))
	for i, k := range known {
		if words[i] = string(k); words[i] == word {
			return k, nil
		}
	}
	return "", problem(suggest(word, words, what+"s: "+strings.Join(words, ", ")), "unknown %s %q", what, word)
}

// listed renders "ready, leased, done or dead".
func listed[T ~string](words []T) string {
	var b strings.Builder
	for i, w := range words {
		switch i {
		case 0:
		case len(words) - 1:
			b.WriteString(" or ")
		default:
			b.WriteString(", ")
		}
		b.WriteString(string(w))
	}
	return b.String()
}

// named tells no ids on the command line (no filter) from an empty list of ids,
// which to a driver means none.
func named(ids []string) []string {
	if len(ids) == 0 {
		return nil
	}
	return ids
}

// durationFlag is a duration as pipeline files write it.
type durationFlag pipeline.Duration

// String implements pflag.Value.
func (d *durationFlag) String() string {
	if *d == 0 {
		return ""
	}
	return pipeline.Duration(*d).String()
}

// Set implements pflag.Value.
func (d *durationFlag) Set(text string) error {
	v, err := pipeline.ParseDuration(text)
	*d = durationFlag(v)
	return err
}

// Type implements pflag.Value.
func (*durationFlag) Type() string { return "duration" }
