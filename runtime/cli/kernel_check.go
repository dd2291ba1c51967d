package cli

import (
	"fmt"
	"strings"

	"github.com/spf13/cobra"

	"github.com/waybill-dev/waybill/pipeline"
)

func (a *app) kernelCheck() *cobra.Command {
	var limits []string
	cmd := &cobra.Command{
		Use:   "check FILE|DIR",
		Short: "Names everything that would keep a kernel from running",
		Long: "Looks at limits, imports, exports and manifest, then runs each sample of the manifest: in the\n" +
			"compiler and in the interpreter, on fresh instances and twice on one. Answers, bytes and fuel must\n" +
			"be the same each time, and as the sample wants them.",
		Example: "  waybill kernel check readable.wasm\n  waybill kernel check --json .",
		Args:    args(cobra.ExactArgs(1), "name one kernel"),
	}
	limitFlag(cmd, &limits)
	cmd.RunE = a.kernel(func(cmd *cobra.Command, args []string) error {
		t, err := a.target(args[0], limits)
		if err != nil {
			return err
		}
		report, err := a.parts.Kernels.Check(cmd.Context(), t)
		if err != nil {
			return kernelFailed(err)
		}
		return a.printReport(report, "sample", a.printChecked)
	})
	return cmd
}

// printChecked says what was looked at without running anything.
func (a *app) printChecked(r pipeline.KernelReport) {
	if len(r.Problems) == 0 {
		fmt.Fprintf(a.stdout, "%s   limits, imports, exports and manifest of %s (%s, %s)\n", paint(a.stdout, green, "ok"), r.File, r.Dialect, r.Digest.Short())
	}
	if len(r.Wants) > 0 {
		fmt.Fprintf(a.stdout, "     wants a grant for: %s\n", strings.Join(r.Wants, ", "))
	}
}

// printReport shows what check or test found; the exit code is 2 for a kernel
// that cannot run and 1 for a case that fails.
func (a *app) printReport(r pipeline.KernelReport, noun string, head func(pipeline.KernelReport)) error {
	failed := failedCases(r.Cases)
	if a.json {
		if err := a.printJSON(r); err != nil {
			return err
		}
	} else {
		head(r)
		a.printCases(r.Cases)
		for _, n := range r.Notes {
			fmt.Fprintf(a.stdout, "note %s\n", plain(n))
		}
		a.printKernelProblems(r.File, r.Problems)
		if n := len(r.Cases); n > 0 {
			fmt.Fprintf(a.stdout, "%s, %d ok, %d failed\n", count(int64(n), noun), n-failed, failed)
		}
	}
	switch {
	case len(r.Problems) > 0:
		return silent(exitProblem)
	case failed > 0:
		return silent(exitFailed)
	}
	return nil
}
