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

func (a *app) kernelCommand() *cobra.Command {
	return group(&cobra.Command{
		Use:     "kernel",
		Short:   "Works with WASM kernels: run",
		Example: "  waybill kernel run readable.wasm < page.html",
	}, a.kernelRun())
}

func (a *app) kernelRun() *cobra.Command {
	var with string
	var limits []string
	cmd := &cobra.Command{
		Use:   "run FILE",
		Short: "Runs a kernel on one item",
		Long: "Gives standard input to the kernel as one item and writes the result's bytes to standard output.\n" +
			"With --json the outcome (outcome, fuel, time, logs) is one object on standard error.",
		Example: "  waybill kernel run readable.wasm --with '{\"minWords\":20}' --json < body > result",
		Args:    args(cobra.ExactArgs(1), "name one kernel"),
	}
	cmd.Flags().StringVar(&with, "with", "", "the kernel's configuration as JSON, or @FILE")
	cmd.Flags().StringSliceVar(&limits, "limit", nil, "a limit as in the pipeline file, such as memory=32MiB or timeout=2s")
	cmd.RunE = interruptible(func(cmd *cobra.Command, args []string) error {
		if a.parts.KernelRun == nil {
			return problem("", "this binary has no kernel host")
		}
		run, err := a.kernelRequest(args[0], with, limits)
		if err != nil {
			return a.kernelRefused(args[0], err)
		}
		res, err := a.parts.KernelRun(cmd.Context(), run)
		if err != nil {
			return a.kernelRefused(args[0], err)
		}
		return a.printKernelResult(res)
	})
	return cmd
}

func (a *app) kernelRequest(use, with string, limits []string) (pipeline.KernelRun, error) {
	run := pipeline.KernelRun{Use: use, CacheDir: cacheDir(), Stderr: a.stderr, Limits: map[string]string{}}
	if a.json {
		run.Stderr = io.Discard // the logs are part of the object
	}
	if strings.HasPrefix(use, "file:") || !strings.Contains(use, ":") {
		if _, err := os.Stat(strings.TrimPrefix(use, "file:")); err != nil {
			return run, problem("", "kernel: %w", err)
		}
	}
	for _, l := range limits {
		name, value, ok := strings.Cut(l, "=")
		if !ok {
			return run, problem("write --limit memory=32MiB", "%q is not a limit", l)
		}
		run.Limits[name] = value
	}
	var err error
	if run.Config, err = jsonArgument(with); err != nil {
		return run, err
	}
	if run.Input, err = io.ReadAll(io.LimitReader(a.stdin, maxInput+1)); err != nil {
		return run, fmt.Errorf("read standard input: %w", err)
	}
	if len(run.Input) > maxInput {
		return run, problem("", "standard input is larger than 1 GiB")
	}
	return run, nil
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
		if res.Error != "" {
			fmt.Fprintf(a.stderr, "%s: %s\n", paint(a.stderr, red, dash(res.Code)), joined(res.Error))
		}
	}
	if res.Outcome != "ok" {
		return silent(exitFailed)
	}
	return nil
}
