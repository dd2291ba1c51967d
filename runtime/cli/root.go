package cli

import (
	"context"
	"errors"
	"io"
	"os"
	"os/signal"
	"syscall"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"github.com/waybill-dev/waybill/pipeline"
	"github.com/waybill-dev/waybill/runtime/telemetry"
)

// app is one command line being run.
type app struct {
	parts          Parts
	stdin          io.Reader
	stdout, stderr io.Writer
	json           bool
	// secrets are values of the loaded pipeline that no error may show.
	secrets []string
}

func (a *app) set() *pipeline.Set { return pipeline.NewSet(a.parts.Defs...) }

// redact replaces the pipeline's secrets in a text for people.
func (a *app) redact(text string) string { return telemetry.Redactor(a.secrets)(text) }

func (a *app) root() *cobra.Command {
	root := group(&cobra.Command{
		Use:   "waybill",
		Short: "Runs pipelines that can prove what they did",
		Long: "Waybill runs pipelines that can prove what they did: it claims items from a queue, drives a\n" +
			"browser, runs sandboxed WASM kernels, stores results under their digest and signs a receipt\n" +
			"for each item.",
		Example:       "  waybill enqueue --to sqlite:var/queue.db --queue pages items.jsonl\n  waybill run pipeline.yaml --until-empty",
		SilenceErrors: true,
		SilenceUsage:  true,
	},
		a.runCommand(), a.checkCommand(), a.planCommand(), a.enqueueCommand(), a.queueCommand(), a.statusCommand(),
		a.verifyCommand(), a.blobCommand(), a.kernelCommand(), a.browserCommand(), a.schemaCommand(), a.doctorCommand(), a.versionCommand())
	root.PersistentFlags().BoolVar(&a.json, "json", false, "print JSON for machines")
	root.SetFlagErrorFunc(flagError)
	return root
}

// group makes cmd a parent whose only business is to name its children: an
// unknown name is a usage error with the nearest one as a hint.
func group(cmd *cobra.Command, children ...*cobra.Command) *cobra.Command {
	cmd.AddCommand(children...)
	cmd.Args = cobra.ArbitraryArgs
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		if len(args) == 0 {
			return cmd.Help()
		}
		names := make([]string, 0, len(cmd.Commands()))
		for _, c := range cmd.Commands() {
			names = append(names, c.Name())
		}
		return problem(suggest(args[0], names, "see "+cmd.CommandPath()+" --help"), "unknown command %q for %q", args[0], cmd.CommandPath())
	}
	return cmd
}

// flagError adds the nearest flag to a complaint about an unknown one.
func flagError(cmd *cobra.Command, err error) error {
	help := "see " + cmd.CommandPath() + " --help"
	var unknown *pflag.NotExistError
	if errors.As(err, &unknown) {
		var names []string
		cmd.Flags().VisitAll(func(f *pflag.Flag) { names = append(names, "--"+f.Name) })
		help = suggest("--"+unknown.GetSpecifiedName(), names, help)
	}
	return problem(help, "%w", err)
}

// args makes a positional-argument rule a usage error that says what to name, in
// a reader's words and not in those of the library.
func args(rule cobra.PositionalArgs, want string) cobra.PositionalArgs {
	return func(cmd *cobra.Command, args []string) error {
		if rule(cmd, args) != nil {
			return problem("usage: "+cmd.UseLine(), "%s, got %s", want, count(int64(len(args)), "argument"))
		}
		return nil
	}
}

// interruptible ends the context at the first interrupt, for commands that
// have nothing to drain.
func interruptible(run func(cmd *cobra.Command, args []string) error) func(*cobra.Command, []string) error {
	return func(cmd *cobra.Command, args []string) error {
		ctx, stop := signal.NotifyContext(cmd.Context(), os.Interrupt, syscall.SIGTERM)
		defer stop()
		cmd.SetContext(ctx)
		err := run(cmd, args)
		if err != nil && ctx.Err() != nil && errors.Is(err, context.Canceled) {
			return &exitError{exitInterrupted, errors.New("interrupted"), ""}
		}
		return err
	}
}
