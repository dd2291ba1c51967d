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
	"strings"
	"time"

	"github.com/waybill-dev/waybill/pipeline"
	"github.com/waybill-dev/waybill/plugins/internal/host"
	"github.com/waybill-dev/waybill/plugins/internal/k1"
)

// Run runs a kernel once, as the stage would run it over an item with that key,
// metadata and body, at time 0. Several answers are joined by line feeds. A kernel
// that fails is a result with outcome "error"; a request that cannot be carried
// out (no such file, a bad limit) is an error.
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
	if note := staleNote(strings.TrimPrefix(r.Use, "file:")); note != "" {
		log.Warn(note)
	}
	k, ports, err := loadUngranted(ctx, c, place{cache: r.CacheDir}, log)
	if err != nil {
		return pipeline.KernelResult{}, err
	}
	started := time.Now()
	in, err := record(r)
	if err != nil {
		return pipeline.KernelResult{}, errors.Join(err, k.Close(ctx))
	}
	result := pipeline.KernelResult{Outcome: outcomeOK, Digest: k.Digest, Dialect: string(k.Dialect)}
	err = runOnce(ctx, k, in, ports, &result)
	result.Elapsed = time.Since(started)
	if err != nil {
		result.Outcome, result.Error, result.Code = outcomeError, err.Error(), pipeline.CodeOf(err)
		if r.Replay {
			result.Trace = replay(ctx, c, place{cache: r.CacheDir}, in)
		}
	}
	return result, k.Close(ctx)
}

// Outcomes of a run.
const (
	outcomeOK      = "ok"
	outcomeDropped = "dropped"
	outcomeSkipped = "skipped"
	outcomeError   = "error"
)

// loadUngranted loads a kernel that has no pipeline to grant it anything: what it
// asks for is answered with "not granted", which need not keep it from its work.
// It returns the names of its ports, too.
func loadUngranted(ctx context.Context, c Config, at place, log *slog.Logger) (*host.Kernel, []string, error) {
	found := slices.DeleteFunc(c.problems(ctx, at), func(p problem) bool { return p.code == codeMissingGrant })
	if err := refused(found); err != nil {
		return nil, nil, err
	}
	o, m, err := c.options(ctx, at, log)
	if err != nil {
		return nil, nil, err
	}
	k, err := host.New(ctx, o)
	return k, m.Ports, classify(err)
}

// record makes the record of a run.
func record(r pipeline.KernelRun) (k1.Record, error) {
	in := k1.Record{Key: []byte(r.Key), Value: r.Input, Seed: seed("", r.Input)}
	var err error
	if len(r.Meta) > 0 {
		in.Meta, err = json.Marshal(r.Meta)
	}
	return in, err
}

// runOnce runs one record through a fresh instance, which it closes, and fills in
// what came of it.
func runOnce(ctx context.Context, k *host.Kernel, in k1.Record, ports []string, to *pipeline.KernelResult) error {
	if k.OneByOne() {
		out, err := k.RunItem(ctx, in.Value, in.Time, in.Seed, nil)
		to.Output, to.Logs, to.Fuel = out.Output, out.Stderr, &out.Fuel
		return classify(err)
	}
	to.Fuel = new(int64)
	i, err := k.Start(ctx)
	if err != nil {
		to.Logs = lastWords(err)
		return classify(err)
	}
	defer i.Close()
	b, err := k1.NewBatch([]k1.Record{in})
	if err != nil {
		return err
	}
	ops, err := i.Run(ctx, nil, b)
	to.Logs, *to.Fuel = i.Stderr(), i.Fuel()
	if err != nil {
		return classify(err)
	}
	return answers(ops, ports, to)
}

// answers fills in what the kernel did with the record.
func answers(ops []k1.Op, ports []string, to *pipeline.KernelResult) error {
	values := make([]string, 0, len(ops))
	for _, op := range ops {
		if op.Code == k1.Err && op.Port == k1.ErrSkip {
			to.Outcome, to.Reason, to.Answers = outcomeSkipped, string(op.Value), nil
			return nil
		}
		if op.Code == k1.Err {
			return pipeline.Fail(host.CodeError, "%s", op.Value)
		}
		a := pipeline.KernelAnswer{Op: strings.ToLower(op.Code.String()), Bytes: len(op.Value)}
		if int(op.Port) < len(ports) {
			a.Port = ports[op.Port]
		}
		if op.Code == k1.Put {
			a.Key = string(op.Key)
		}
		to.Answers, values = append(to.Answers, a), append(values, string(op.Value))
	}
	to.Output = []byte(strings.Join(values, "\n"))
	if len(ops) == 0 {
		to.Outcome = outcomeDropped
	}
	return nil
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
			l.Memory, err = pipeline.ParseBytes(text)
		case "output":
			l.Output, err = pipeline.ParseBytes(text)
		case "log":
			l.Log, err = pipeline.ParseBytes(text)
		case "timeout":
			l.Timeout, err = pipeline.ParseDuration(text)
		case "fuel":
			l.Fuel, err = pipeline.ParseCount(text)
		default:
			err = errors.New("no such limit: memory, timeout, fuel, output or log")
		}
		if err != nil {
			return fmt.Errorf("limit %s: %w", name, err)
		}
	}
	return nil
}
