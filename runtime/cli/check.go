package cli

import (
	"fmt"
	"runtime/debug"

	"github.com/spf13/cobra"

	"github.com/waybill-dev/waybill/pipeline"
)

func (a *app) checkCommand() *cobra.Command {
	return &cobra.Command{
		Use:   "check FILE...",
		Short: "Names every problem of pipeline files",
		Long: "Loads each file as run would and names every problem at its line and column. Nothing runs.\n" +
			"With --json: one object per problem with file, line, column, code, path, message and hint.",
		Example: "  waybill check pipeline.yaml\n  waybill check --json *.yaml",
		Args:    args(cobra.MinimumNArgs(1), "name pipeline files"),
		RunE: func(_ *cobra.Command, files []string) error {
			// A check allocates some megabytes and ends: collecting them three
			// times on the way took a tenth of its time (make bench).
			defer debug.SetGCPercent(debug.SetGCPercent(400))
			bad := false
			for _, file := range files {
				if !a.checkFile(file) {
					bad = true
				}
			}
			if bad {
				return silent(exitProblem)
			}
			return nil
		},
	}
}

// checkFile loads one file, reports on it and returns whether it is good.
func (a *app) checkFile(file string) bool {
	plan, problems := pipeline.LoadFile(file, a.set().Caching(cacheDir()))
	switch {
	case a.json:
		for _, p := range problems {
			_ = a.printJSON(p)
		}
	case len(problems) > 0:
		a.printProblems(problems)
	default:
		fmt.Fprintf(a.stdout, "%s %s: pipeline %q, %s\n", paint(a.stdout, green, "ok"), file, plan.Name, count(int64(len(plan.Stages)), "stage"))
	}
	return len(problems) == 0
}

// load loads the file of a command that needs a plan.
func (a *app) load(file string) (*pipeline.Plan, error) {
	plan, problems := pipeline.LoadFile(file, a.set().Caching(cacheDir()))
	if len(problems) > 0 {
		return nil, problems
	}
	a.secrets = plan.Secrets
	return plan, nil
}
