package plugins

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"maps"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/waybill-dev/waybill/pipeline"
	"github.com/waybill-dev/waybill/plugins/internal/host"
	"github.com/waybill-dev/waybill/plugins/internal/k1"
	"github.com/waybill-dev/waybill/plugins/internal/module"
)

var _ pipeline.KernelRunner = Run

// Run runs a kernel once, as the stage would run it over an item with that body
// and neither key nor metadata, at time 0. Several PUTs are joined by line
// feeds. A kernel that fails is a result with outcome "error"; a request that
// cannot be carried out (no such file, a bad limit) is an error.
func Run(ctx context.Context, r pipeline.KernelRun) (pipeline.KernelResult, error) {
	c := Defaults()
	c.Use = r.Use
	if err := c.Limits.set(r.Limits); err != nil {
		return pipeline.KernelResult{}, err
	}
	if len(r.Config) > 0 {
		if err := json.Unmarshal(r.Config, &c.With); err != nil {
			return pipeline.KernelResult{}, fmt.Errorf("config: %w", err)
		}
	}
	stderr := r.Stderr
	if stderr == nil {
		stderr = io.Discard
	}
	log := slog.New(slog.NewTextHandler(stderr, &slog.HandlerOptions{Level: slog.LevelDebug}))
	k, err := load(ctx, c, "", r.CacheDir, log)
	if err != nil {
		return pipeline.KernelResult{}, err
	}
	started := time.Now()
	out, logs, err := runOnce(ctx, k, r.Input)
	result := pipeline.KernelResult{Outcome: "ok", Output: out, Elapsed: time.Since(started), Digest: k.Digest, Dialect: string(k.Dialect), Logs: logs}
	if err != nil {
		result.Outcome, result.Error, result.Code = "error", err.Error(), pipeline.CodeOf(err)
	}
	return result, k.Close(ctx)
}

// runOnce runs one record through a fresh instance and closes it.
func runOnce(ctx context.Context, k *host.Kernel, input []byte) (out []byte, logs string, err error) {
	at := seed("", input)
	if k.Dialect == module.Command {
		out, logs, err = k.RunCommand(ctx, input, 0, at)
		return out, logs, classify(err)
	}
	i, err := k.Start(ctx)
	if err != nil {
		return nil, lastWords(err), classify(err)
	}
	defer i.Close()
	b, err := k1.NewBatch([]k1.Record{{Value: input, Seed: at}})
	if err != nil {
		return nil, "", err
	}
	ops, err := i.Run(ctx, b)
	if err != nil {
		return nil, i.Stderr(), classify(err)
	}
	var values []string
	for _, op := range ops {
		if op.Code == k1.Err {
			return nil, i.Stderr(), pipeline.Fail(host.CodeError, "%s", op.Value)
		}
		values = append(values, string(op.Value))
	}
	return []byte(strings.Join(values, "\n")), i.Stderr(), nil
}

// lastWords returns what a kernel that could not start wrote.
func lastWords(err error) string {
	var f *Failure
	if errors.As(err, &f) {
		return f.Stderr
	}
	return ""
}

// set reads limits from the command line.
func (l *Limits) set(limits map[string]string) error {
	for _, name := range slices.Sorted(maps.Keys(limits)) {
		text := limits[name]
		var err error
		switch name {
		case "memory":
			l.Memory, err = parseBytes(text)
		case "output":
			l.Output, err = parseBytes(text)
		case "log":
			l.Log, err = parseBytes(text)
		case "timeout":
			var d time.Duration
			d, err = time.ParseDuration(text)
			l.Timeout = pipeline.Duration(d)
		case "fuel":
			err = errors.New("fuel is not metered yet, so the limit could not be kept")
		default:
			err = errors.New("no such limit: memory, timeout, output or log")
		}
		if err != nil {
			return fmt.Errorf("limit %s: %w", name, err)
		}
	}
	return nil
}

// parseBytes reads a size as pipeline files write it: 512, 64KiB, 10MB.
func parseBytes(text string) (pipeline.Bytes, error) {
	digits := strings.TrimRight(text, "BKMGikb")
	units := map[string]int64{"": 1, "B": 1, "KiB": 1 << 10, "MiB": 1 << 20, "GiB": 1 << 30, "KB": 1e3, "MB": 1e6, "GB": 1e9}
	unit, known := units[text[len(digits):]]
	n, err := strconv.ParseInt(digits, 10, 64)
	if err != nil || !known || n < 0 || n > 1<<40 {
		return 0, fmt.Errorf("%q is not a size such as 512, 64KiB or 10MB", text)
	}
	return pipeline.Bytes(n * unit), nil
}
