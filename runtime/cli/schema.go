package cli

import (
	"github.com/spf13/cobra"

	"github.com/waybill-dev/waybill/spec"
)

func (a *app) schemaCommand() *cobra.Command {
	return &cobra.Command{
		Use:     "schema",
		Short:   "Prints the JSON Schema of pipeline files, for editors",
		Example: "  waybill schema > pipeline.schema.json",
		Args:    args(cobra.NoArgs, "it takes no arguments"),
		RunE: func(*cobra.Command, []string) error {
			_, err := a.stdout.Write(spec.PipelineSchema)
			return err
		},
	}
}
