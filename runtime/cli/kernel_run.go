package cli

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/spf13/cobra"

	"github.com/waybill-dev/waybill/pipeline"
)

// maxInput bounds what kernel run reads: an item's body is never larger than a
// kernel's memory.
const maxInput = 1 << 30

func (a *app) kernelRun() *cobra.Command {
	f := new(kernelFlags)
	cmd := &cobra.Command{
		Use:   "run FILE",
		Short: "Runs a kernel on one item",
		Long: "Gives standard input to the kernel as one item and writes the result's bytes to standard output.\n" +
			"The outcome is ok, dropped (the kernel gave no answer), skipped or error; only the last is a failure.\n" +
			"With --json it is one object on standard error, with answers, fuel, time and logs.\n" +
			"With --replay an item that fails is run once more on the module as its compiler wrote it, without\n" +
			"fuel, and the functions on its stack are shown with file and line, if it has debug information.",
		Example: "  waybill kernel run readable.wasm --with '{\"minWords\":20}' --json < body > result\n" +
			"  waybill kernel run readable.wasm --key page-7 --meta host=example.com --replay < body",
		Args: args(cobra.ExactArgs(1), "name one kernel"),
	}
	cmd.Flags().StringVar(&f.with, "with", "", "the kernel's configuration as JSON, or @FILE")
	cmd.Flags().StringSliceVar(&f.limits, "limit", nil, "a limit as in the pipeline file, such as memory=32MiB or timeout=2s")
	cmd.Flags().StringVar(&f.key, "key", "", "the item's key")
	cmd.Flags().StringArrayVar(&f.meta, "meta", nil, "an entry of the item's metadata, NAME=VALUE")
	cmd.Flags().BoolVar(&f.replay, "replay", false, "show where in the source an item that fails ended")
	cmd.RunE = a.kernel(func(cmd *cobra.Command, args []string) error {
		run, err := a.kernelRequest(args[0], f)
		if err != nil {
			return a.kernelRefused(args[0], err)
		}
		res, err := a.parts.Kernels.Run(cmd.Context(), run)
		if err != nil {
			return a.kernelRefused(args[0], err)
		}
		return a.printKernelResult(res)
	})
	return cmd
}

// kernelFlags are the flags of kernel run.
type kernelFlags struct {
	with, key    string
	limits, meta []string
	replay       bool
}

func (a *app) kernelRequest(use string, f *kernelFlags) (pipeline.KernelRun, error) {
	run := pipeline.KernelRun{Use: use, Key: f.key, CacheDir: cacheDir(), Stderr: a.stderr, Replay: f.replay}
	if a.json {
		run.Stderr = io.Discard // the logs are part of the object
	}
	if strings.HasPrefix(use, "file:") || !strings.Contains(use, ":") {
		if _, err := os.Stat(strings.TrimPrefix(use, "file:")); err != nil {
			return run, problem("", "kernel: %w", err)
		}
	}
	var err error
	if run.Limits, err = assignments(f.limits, "limit", "memory=32MiB"); err != nil {
		return run, err
	}
	if run.Meta, err = assignments(f.meta, "meta", "host=example.com"); err != nil {
		return run, err
	}
	if run.Config, err = jsonArgument(f.with); err != nil {
		return run, err
	}
	run.Input, err = a.readInput()
	return run, err
}

// readInput reads an item's body from standard input.
func (a *app) readInput() ([]byte, error) {
	b, err := io.ReadAll(io.LimitReader(a.stdin, maxInput+1))
	if err != nil {
		return nil, fmt.Errorf("read standard input: %w", err)
	}
	if len(b) > maxInput {
		return nil, problem("", "standard input is larger than 1 GiB")
	}
	return b, nil
}

// assignments reads the NAME=VALUE of a flag.
func assignments(list []string, flag, example string) (map[string]string, error) {
	out := make(map[string]string, len(list))
	for _, text := range list {
		name, value, ok := strings.Cut(text, "=")
		if !ok || name == "" {
			return nil, problem("write --"+flag+" "+example, "%q is not a %s", text, flag)
		}
		out[name] = value
	}
	return out, nil
}

// kernelRefused reports a request that could not be carried out, with --json as
// an object like any other outcome. What it says about a key of the pipeline file
// is about an argument here.
func (a *app) kernelRefused(file string, err error) error {
	code := exitCode(err)
	if code == exitInternal && pipeline.KindOf(err) != pipeline.Bug {
		code = exitProblem
	}
	lines := strings.Split(err.Error(), "\n")
	for i, line := range lines {
		if rest, ok := strings.CutPrefix(line, "use: "); ok {
			lines[i] = file + ": " + rest
		}
	}
	text := joined(strings.Join(lines, "\n"))
	if !a.json || code == exitInterrupted {
		return &exitError{code, errors.New(text), ""}
	}
	refusal := pipeline.KernelResult{Outcome: "error", Error: text, Code: pipeline.CodeOf(err)}
	if err := writeJSON(a.stderr, refusal); err != nil {
		return err
	}
	return silent(code)
}

// jsonArgument reads JSON from the argument or from the file after an @.
func jsonArgument(text string) ([]byte, error) {
	raw, name := []byte(text), "--with"
	if file, ok := strings.CutPrefix(text, "@"); ok {
		var err error
		if raw, err = os.ReadFile(file); err != nil {
			return nil, problem("", "--with: %w", err)
		}
		name = file
	}
	if len(raw) == 0 {
		return nil, nil
	}
	var syntax *json.SyntaxError
	if err := json.Unmarshal(raw, new(json.RawMessage)); errors.As(err, &syntax) {
		before := raw[:min(max(0, int(syntax.Offset)-1), len(raw))]
		line := bytes.LastIndexByte(before, '\n') + 1
		return nil, problem("", "%s:%d:%d: not JSON: %w", name, bytes.Count(before, []byte("\n"))+1, utf8.RuneCount(before[line:])+1, err)
	}
	return raw, nil
}

func (a *app) printKernelResult(res pipeline.KernelResult) error {
	if _, err := a.stdout.Write(res.Output); err != nil {
		return err
	}
	if a.json {
		if err := writeJSON(a.stderr, res); err != nil {
			return err
		}
	} else {
		fuel := ""
		if res.Fuel != nil {
			fuel = fmt.Sprintf(", %d fuel", *res.Fuel)
		}
		fmt.Fprintf(a.stderr, "%s: %s in %s%s, kernel %s (%s)\n", res.Outcome, count(int64(len(res.Output)), "byte"),
			res.Elapsed.Round(time.Microsecond), fuel, res.Digest.Short(), res.Dialect)
		a.printAnswers(res)
		if res.Error != "" {
			fmt.Fprintf(a.stderr, "%s: %s\n", paint(a.stderr, red, dash(res.Code)), joined(res.Error))
		}
		a.printTrace(res.Trace)
	}
	if res.Outcome == "error" {
		return silent(exitFailed)
	}
	return nil
}

// printAnswers says what the output's bytes do not: why a record was skipped, and
// how many answers there are, with their ports and keys.
func (a *app) printAnswers(res pipeline.KernelResult) {
	if res.Reason != "" {
		fmt.Fprintf(a.stderr, "reason: %s\n", joined(res.Reason))
	}
	if len(res.Answers) == 1 && res.Answers[0].Port == "" && res.Answers[0].Key == "" {
		return
	}
	for n, answer := range res.Answers {
		line := fmt.Sprintf("answer %d: %s of %s", n+1, answer.Op, count(int64(answer.Bytes), "byte"))
		if answer.Port != "" {
			line += " to port " + plain(answer.Port)
		}
		if answer.Key != "" {
			line += fmt.Sprintf(", key %q", answer.Key)
		}
		fmt.Fprintln(a.stderr, line)
	}
}

// printTrace shows where in the source a replay ended, innermost function
// first, as debuggers do.
func (a *app) printTrace(t *pipeline.KernelTrace) {
	if t == nil {
		return
	}
	fmt.Fprintf(a.stderr, "replayed without fuel: %s\n", joined(t.Cause))
	for _, f := range t.Frames {
		fmt.Fprintf(a.stderr, "  %s\n", plain(f.Func))
		for _, source := range f.Source {
			fmt.Fprintf(a.stderr, "      %s\n", plain(source))
		}
	}
	if t.Logs != "" {
		fmt.Fprintf(a.stderr, "%s\n", plain(strings.TrimRight(t.Logs, "\n")))
	}
	if t.Note != "" {
		fmt.Fprintf(a.stderr, "%s\n", t.Note)
	}
}
