package cli

import (
	"fmt"
	"io"
	"strings"

	"github.com/spf13/cobra"

	"github.com/waybill-dev/waybill/pipeline"
)

func (a *app) kernelCommand() *cobra.Command {
	return group(&cobra.Command{
		Use:   "kernel",
		Short: "Works with WASM kernels: new, build, check, test, bench, inspect, run, push, pull, lock",
		Example: "  waybill kernel new --lang go demo && cd demo\n" +
			"  waybill kernel build && waybill kernel test\n" +
			"  waybill kernel run demo.wasm < page.html",
	}, a.kernelNew(), a.kernelBuild(), a.kernelCheck(), a.kernelTest(), a.kernelBench(), a.kernelInspect(), a.kernelRun(),
		a.kernelPush(), a.kernelPull(), a.kernelLock())
}

// kernel is for commands that need the kernel tools; an interrupt ends them.
func (a *app) kernel(run func(cmd *cobra.Command, args []string) error) func(*cobra.Command, []string) error {
	return interruptible(func(cmd *cobra.Command, args []string) error {
		if a.parts.Kernels == nil {
			return problem("", "this binary has no kernel host")
		}
		return run(cmd, args)
	})
}

// dirArgument is the only argument, or the working directory.
func dirArgument(args []string) string {
	if len(args) == 0 {
		return "."
	}
	return args[0]
}

// target is what check, test and bench look at.
func (a *app) target(path string, limits []string) (pipeline.KernelTarget, error) {
	t := pipeline.KernelTarget{Path: path, CacheDir: cacheDir(), Progress: a.progress()}
	var err error
	t.Limits, err = assignments(limits, "limit", "memory=32MiB")
	return t, err
}

// progress is where commands say what they are busy with: nowhere if machines
// read.
func (a *app) progress() io.Writer {
	if a.json {
		return io.Discard
	}
	return a.stderr
}

// limitFlag adds --limit.
func limitFlag(cmd *cobra.Command, limits *[]string) {
	cmd.Flags().StringSliceVar(limits, "limit", nil, "a limit as in the pipeline file, such as memory=32MiB or timeout=2s")
}

// printCases shows each case on a line, and below it what differs.
func (a *app) printCases(cases []pipeline.KernelCase) {
	for _, c := range cases {
		switch {
		case c.Updated:
			fmt.Fprintf(a.stdout, "new  %s: %s\n", plain(c.Name), c.File)
		case c.Passed:
			fmt.Fprintf(a.stdout, "%s   %s, %s fuel\n", paint(a.stdout, green, "ok"), plain(c.Name), thousands(c.Fuel))
		default:
			fmt.Fprintf(a.stdout, "%s %s\n", paint(a.stdout, red, "FAIL"), plain(c.Name))
		}
		for line := range strings.Lines(c.Detail) {
			fmt.Fprintf(a.stdout, "       %s\n", plain(strings.TrimRight(line, "\n")))
		}
	}
}

// failedCases counts those that did not pass.
func failedCases(cases []pipeline.KernelCase) (n int) {
	for _, c := range cases {
		if !c.Passed {
			n++
		}
	}
	return n
}

// printKernelProblems shows why a kernel cannot run.
func (a *app) printKernelProblems(file string, problems []pipeline.KernelProblem) {
	for _, p := range problems {
		hint := ""
		if p.Hint != "" {
			hint = " (" + p.Hint + ")"
		}
		fmt.Fprintf(a.stderr, "%s: %s: %s%s\n", file, paint(a.stderr, red, p.Code), joined(p.Message), hint)
	}
}

// thousands groups digits by commas.
func thousands(n int64) string {
	text := fmt.Sprint(n)
	for at := len(text) - 3; at > 0 && text[at-1] != '-'; at -= 3 {
		text = text[:at] + "," + text[at:]
	}
	return text
}
