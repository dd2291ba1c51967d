package cli

import (
	"github.com/spf13/cobra"

	"github.com/waybill-dev/waybill/pipeline"
)

func (a *app) kernelTest() *cobra.Command {
	var limits []string
	var test pipeline.KernelTest
	cmd := &cobra.Command{
		Use:   "test [DIR|FILE]",
		Short: "Runs the golden cases beside a kernel",
		Long: "Runs each case in cases/*.json, in the format of the manifest's samples, and compares the answer with\n" +
			"what the case wants. With --update what the kernel answers is written into the cases.",
		Example: "  waybill kernel test\n  waybill kernel test --update\n  waybill kernel test readable.wasm --cases golden",
		Args:    args(cobra.MaximumNArgs(1), "name one kernel"),
	}
	limitFlag(cmd, &limits)
	cmd.Flags().StringVar(&test.Cases, "cases", "", "the folder with the cases, instead of the one beside the kernel")
	cmd.Flags().BoolVar(&test.Update, "update", false, "write what the kernel answers into the cases")
	cmd.RunE = a.kernel(func(cmd *cobra.Command, args []string) error {
		var err error
		if test.KernelTarget, err = a.target(dirArgument(args), limits); err != nil {
			return err
		}
		report, err := a.parts.Kernels.Test(cmd.Context(), test)
		if err != nil {
			return kernelFailed(err)
		}
		return a.printReport(report, "case", func(pipeline.KernelReport) {})
	})
	return cmd
}
