package cli

import (
	"fmt"

	"github.com/spf13/cobra"

	"github.com/waybill-dev/waybill/pipeline"
)

func (a *app) kernelBuild() *cobra.Command {
	var out string
	cmd := &cobra.Command{
		Use:   "build [DIR]",
		Short: "Compiles a kernel project",
		Long: "Compiles the project in the folder with the toolchain of its language, attaches its manifest\n" +
			"(kernel.json) and checks that the module can run. The module is NAME.wasm in the folder, after the\n" +
			"name in the manifest. Built again, the same source gives the same digest.",
		Example: "  waybill kernel build\n  waybill kernel build kernels/readable -o readable.wasm",
		Args:    args(cobra.MaximumNArgs(1), "name one folder"),
	}
	cmd.Flags().StringVarP(&out, "output", "o", "", "the module to write")
	cmd.RunE = a.kernel(func(cmd *cobra.Command, args []string) error {
		dir := dirArgument(args)
		m, err := a.parts.Kernels.Build(cmd.Context(), pipeline.KernelBuild{Dir: dir, Out: out, Log: a.stderr})
		if err != nil {
			return kernelFailed(err)
		}
		if a.json {
			return a.printJSON(m)
		}
		fmt.Fprintf(a.stdout, "%s  %s bytes  %s\n", m.File, thousands(m.Size), m.Digest)
		return nil
	})
	return cmd
}
