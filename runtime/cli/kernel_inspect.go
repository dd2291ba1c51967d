package cli

import (
	"bytes"
	"encoding/json"
	"fmt"
	"strings"

	"github.com/spf13/cobra"

	"github.com/waybill-dev/waybill/pipeline"
)

func (a *app) kernelInspect() *cobra.Command {
	return &cobra.Command{
		Use:   "inspect FILE",
		Short: "Says what a kernel is made of",
		Long: "Prints dialect, size, digest, manifest, imports, exports, memory, functions, and how much of each cap on\n" +
			"its shape it uses. Nothing is compiled or run. The exit code is 2 for a module that cannot run.",
		Example: "  waybill kernel inspect readable.wasm\n  waybill kernel inspect --json readable.wasm",
		Args:    args(cobra.ExactArgs(1), "name one kernel"),
		RunE: a.kernel(func(_ *cobra.Command, args []string) error {
			info, err := a.parts.Kernels.Inspect(args[0])
			if err != nil {
				return kernelFailed(err)
			}
			show := a.printInfo
			if a.json {
				show = func(k pipeline.KernelInfo) error { return a.printJSON(k) }
			}
			if err := show(info); err != nil {
				return err
			}
			if len(info.Problems) > 0 {
				return silent(exitProblem)
			}
			return nil
		}),
	}
}

func (a *app) printInfo(k pipeline.KernelInfo) error {
	line := func(name, format string, args ...any) {
		fmt.Fprintf(a.stdout, "%-10s %s\n", name, plain(fmt.Sprintf(format, args...)))
	}
	line("file", "%s", k.File)
	line("digest", "%s", k.Digest)
	line("size", "%s bytes", thousands(k.Size))
	line("dialect", "%s", k.Dialect)
	line("wants", "%s", dash(strings.Join(k.Wants, ", ")))
	memory := thousands(int64(k.MemoryMin)) + " bytes at first"
	if k.MemoryMax > 0 {
		memory += ", " + thousands(int64(k.MemoryMax)) + " at most"
	}
	line("memory", "%s", memory)
	line("functions", "%s of its own; the biggest: %s", thousands(int64(k.Functions)), dash(k.Biggest))
	for i, s := range k.Imports {
		line(first(i, "imports"), "%s", s)
	}
	for i, s := range k.Exports {
		line(first(i, "exports"), "%s", s)
	}
	if len(k.Manifest) > 0 {
		var b bytes.Buffer
		if err := json.Indent(&b, k.Manifest, "", "  "); err != nil {
			return err
		}
		fmt.Fprintf(a.stdout, "manifest\n%s\n", plain(b.String()))
	}
	a.printKernelProblems(k.File, k.Problems)
	return a.printCaps(k.Caps)
}

// first is the name of a list on its first line only.
func first(i int, name string) string {
	if i == 0 {
		return name
	}
	return ""
}

func (a *app) printCaps(caps []pipeline.KernelCap) error {
	if len(caps) == 0 {
		return nil
	}
	rows := [][]string{{"CAP", "USED", "LIMIT", ""}}
	for _, c := range caps {
		share := fmt.Sprintf("%.1f%%", 100*float64(c.Used)/float64(max(1, c.Limit)))
		if c.Used > c.Limit {
			share = paint(a.stdout, red, "too much")
		}
		rows = append(rows, []string{c.Name, thousands(int64(c.Used)), thousands(int64(c.Limit)), share})
	}
	return table(a.stdout, rows)
}
