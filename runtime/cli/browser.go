package cli

import (
	"fmt"
	"io"
	"os"

	"github.com/spf13/cobra"
)

func (a *app) browserCommand() *cobra.Command {
	return group(&cobra.Command{
		Use:     "browser",
		Short:   "Tools for the browser stage",
		Example: "  waybill browser import recording.json > steps.yaml",
	}, a.browserImport())
}

// maxRecording is the largest recording that is read, in bytes.
const maxRecording = 1 << 20

func (a *app) browserImport() *cobra.Command {
	var out string
	var keep bool
	cmd := &cobra.Command{
		Use:   "import FILE",
		Short: "Turns a recording of Chrome's Recorder into steps",
		Long: "Reads what the Recorder of Chrome's DevTools exported as JSON and prints its steps as YAML, to be put below\n" +
			"execute: in a pipeline file and changed there. To run a recording as it is, name it: steps: recording.json.\n" +
			"Passwords that were typed stand in clear in a recording: the steps take them from the environment instead.",
		Example: "  waybill browser import recording.json\n  waybill browser import login.json -o login.yaml",
		Args:    args(cobra.ExactArgs(1), "name one recording"),
		RunE: func(_ *cobra.Command, args []string) error {
			if a.parts.Import == nil {
				return problem("use a build with the stage execute", "this build has no browser stage")
			}
			src, err := readRecording(args[0])
			if err != nil {
				return problem("name a recording that was exported as JSON", "%w", err)
			}
			steps, notes, problems := a.parts.Import(args[0], src, keep)
			if len(problems) > 0 {
				return problems
			}
			for _, note := range notes {
				fmt.Fprintln(a.stderr, "waybill: note: "+plain(note))
			}
			return a.writeSteps(out, steps)
		},
	}
	cmd.Flags().StringVarP(&out, "output", "o", "", "write to this file, which must not be there yet")
	cmd.Flags().BoolVar(&keep, "keep-secrets", false, "leave passwords in clear in the steps")
	return cmd
}

func readRecording(name string) ([]byte, error) {
	f, err := os.Open(name)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	return io.ReadAll(io.LimitReader(f, maxRecording+1))
}

// writeSteps prints the steps, or writes them to a new file, as YAML then too.
func (a *app) writeSteps(file string, steps []byte) error {
	switch {
	case file == "" && a.json:
		return a.printJSON(map[string]string{"steps": string(steps)})
	case file == "":
		_, err := a.stdout.Write(steps)
		return err
	}
	f, err := os.OpenFile(file, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600)
	if err != nil {
		return problem("name a file that is not there yet", "%w", err)
	}
	if _, err := f.Write(steps); err != nil {
		f.Close()
		return err
	}
	return f.Close()
}
