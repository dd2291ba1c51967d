package cli

import (
	"fmt"
	"strconv"
	"time"

	"github.com/spf13/cobra"

	"github.com/waybill-dev/waybill/pipeline"
)

func (a *app) kernelBench() *cobra.Command {
	var limits []string
	var with string
	var bench pipeline.KernelBench
	cmd := &cobra.Command{
		Use:   "bench FILE|DIR",
		Short: "Measures what a record costs",
		Long: "Runs one record again and again, alone and in batches of 64, and prints the CPU time and the fuel of\n" +
			"a record. Each figure is measured twice, in turns: how far the control differs is what the machine\n" +
			"adds. The record is standard input, or a sample or golden case.",
		Example: "  waybill kernel bench readable.wasm < page.html\n  waybill kernel bench . --case hello",
		Args:    args(cobra.ExactArgs(1), "name one kernel"),
	}
	limitFlag(cmd, &limits)
	cmd.Flags().StringVar(&bench.Case, "case", "", "a sample of the manifest or a golden case, instead of standard input")
	cmd.Flags().StringVar(&with, "with", "", "the kernel's configuration as JSON, or @FILE")
	cmd.RunE = a.kernel(func(cmd *cobra.Command, args []string) error {
		var err error
		if bench.KernelTarget, err = a.target(args[0], limits); err != nil {
			return err
		}
		if bench.Case == "" {
			if bench.Config, err = jsonArgument(with); err != nil {
				return err
			}
			if bench.Input, err = a.readInput(); err != nil {
				return err
			}
		} else if with != "" {
			return problem("", "--with does not go with --case, which has a configuration of its own")
		}
		cost, err := a.parts.Kernels.Bench(cmd.Context(), bench)
		if err != nil {
			return kernelFailed(err)
		}
		return a.printCost(cost)
	})
	return cmd
}

func (a *app) printCost(c pipeline.KernelCost) error {
	if a.json {
		return a.printJSON(c)
	}
	fmt.Fprintf(a.stdout, "%s (%s), a record of %s; first answer after %s\n", c.File, c.Digest.Short(), count(int64(c.Input), "byte"),
		c.Start.Round(10*time.Microsecond))
	rows := [][]string{{"BATCH", "CPU/RECORD", "CONTROL", "FUEL/RECORD"}}
	for _, b := range c.Batches {
		rows = append(rows, []string{strconv.Itoa(b.Size), nanos(b.Nanos), fmt.Sprintf("x%.2f", b.Control/b.Nanos), thousands(b.Fuel)})
	}
	return table(a.stdout, rows)
}

// nanos renders CPU time with three digits.
func nanos(n float64) string {
	switch d := time.Duration(n); {
	case d < 100:
		return fmt.Sprintf("%.1fns", n)
	case d < 10*time.Microsecond:
		return fmt.Sprintf("%.0fns", n)
	case d < 10*time.Millisecond:
		return d.Round(100 * time.Nanosecond).String()
	default:
		return d.Round(100 * time.Microsecond).String()
	}
}
