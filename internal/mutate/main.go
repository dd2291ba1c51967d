// Command mutate shows that the tests of the queue drivers can fail. It leaves
// one guard of the claim protocol (spec/claim-protocol.md) out of one driver at a
// time, by a small change of its source, and expects one of the tests that it
// names for the guard to fail.
//
//	go run ./internal/mutate [-run REGEXP] [-race]
//
// The changes are laid over the source by the go command (-overlay); no file of
// the tree is touched. Before them each driver's tests run as they are and must
// pass. What comes out is a table, guard by driver, of the tests that failed. The
// exit code is 1 if a mutant survives, does not build, or if a text of the table
// is no longer in the source.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"os"
	"os/signal"
	"regexp"
	"text/tabwriter"
)

func main() {
	only := flag.String("run", "", "only mutants whose guard/driver matches the `regexp`")
	race := flag.Bool("race", false, "with the race detector")
	flag.Parse()
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	defer stop()
	if err := mutate(ctx, *only, *race); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

func mutate(ctx context.Context, only string, race bool) error {
	filter, err := regexp.Compile(only)
	if err != nil {
		return err
	}
	dir, err := os.MkdirTemp("", "mutate")
	if err != nil {
		return err
	}
	defer os.RemoveAll(dir)
	r := runner{root: ".", dir: dir, race: race}
	var mutants []mutant
	for _, m := range table() {
		if filter.MatchString(m.guard + "/" + m.driver) {
			mutants = append(mutants, m)
		}
	}
	if err := r.sound(ctx, mutants); err != nil {
		return err
	}
	out := tabwriter.NewWriter(os.Stdout, 0, 0, 2, ' ', 0)
	fmt.Fprintln(out, "guard left out\tdriver\tfails")
	var failed []error
	for _, m := range mutants {
		test, err := r.kill(ctx, m)
		if err != nil {
			failed = append(failed, err)
			test = "NONE: " + err.Error()
		}
		fmt.Fprintf(out, "%s\t%s\t%s\n", m.guard, m.driver, test)
	}
	if err := out.Flush(); err != nil {
		return err
	}
	return errors.Join(failed...)
}
