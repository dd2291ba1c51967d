package cli

import (
	"errors"
	"fmt"
	"path/filepath"
	"strings"

	"github.com/spf13/cobra"

	"github.com/waybill-dev/waybill/pipeline"
)

// newProject is what kernel new --json prints.
type newProject struct {
	Dir   string   `json:"dir"`
	Lang  string   `json:"lang"`
	Files []string `json:"files"`
}

func (a *app) kernelNew() *cobra.Command {
	var lang string
	cmd := &cobra.Command{
		Use:   "new --lang LANGUAGE DIR",
		Short: "Writes the project of a new kernel",
		Long: "Writes a small kernel that works, its manifest, golden cases and the sources of the SDK, so that\n" +
			"nothing has to be fetched to build it. The folder must not exist or be empty. Languages:\n" +
			strings.Join(a.languages(), ", ") + ".",
		Example: "  waybill kernel new --lang go demo\n  cd demo && waybill kernel build && waybill kernel test",
		Args:    args(cobra.ExactArgs(1), "name one folder"),
	}
	cmd.Flags().StringVar(&lang, "lang", "", "the language")
	cmd.RunE = a.kernel(func(_ *cobra.Command, args []string) error {
		if err := a.knownLanguage(lang); err != nil {
			return err
		}
		files, err := a.parts.Kernels.New(lang, args[0])
		if err != nil {
			return kernelFailed(err)
		}
		if a.json {
			return a.printJSON(newProject{args[0], lang, files})
		}
		fmt.Fprintf(a.stdout, "a kernel in %s: %s in %s. Next:\n", lang, count(int64(len(files)), "file"), args[0])
		if filepath.Clean(args[0]) != "." {
			fmt.Fprintf(a.stdout, "  cd %s\n", args[0])
		}
		fmt.Fprint(a.stdout, "  waybill kernel build\n  waybill kernel test\n")
		return nil
	})
	return cmd
}

// languages lists those that new and build know.
func (a *app) languages() []string {
	if a.parts.Kernels == nil {
		return nil
	}
	return a.parts.Kernels.Languages()
}

func (a *app) knownLanguage(lang string) error {
	all := a.languages()
	for _, l := range all {
		if l == lang {
			return nil
		}
	}
	list := "--lang " + strings.Join(all, ", ")
	if lang == "" {
		return problem(list, "name a language")
	}
	return problem(suggest(lang, all, list), "unknown language %q", lang)
}

// kernelFailed is the end of a kernel command that could not be carried out:
// what the user gave is at fault, unless the error says that it is a bug of ours
// or a registry that does not answer.
func kernelFailed(err error) error {
	code := exitCode(err)
	if code == exitInternal && !errors.As(err, new(*pipeline.Error)) {
		code = exitProblem
	}
	return &exitError{code, err, ""}
}
