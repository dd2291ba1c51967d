package claim

import (
	"context"
	"strings"

	"github.com/waybill-dev/waybill/pipeline"
)

// Config is the config of the stage "claim".
type Config struct {
	// URL of the queue or input: sqlite:var/queue.db, file:items.jsonl, file:pages/*.html.
	From string `yaml:"from"`
	// Name of the queue inside the store.
	Queue string `yaml:"queue,optional"`
	// How long a claim lasts without renewal.
	Lease pipeline.Duration `yaml:"lease,optional" min:"1s" max:"12h"`
	// How a file: input is read: items, jsonl, csv or files; told by the name if left out.
	Format string `yaml:"format,optional" enum:"items|jsonl|csv|files"`
	// File in which a file: input remembers what has ended; without it a run starts anew.
	Checkpoint string `yaml:"checkpoint,optional"`

	drivers []pipeline.QueueDriver // what From may name; not part of the file
}

// Def returns the definition of the stage "claim" over these drivers.
func Def(drivers ...pipeline.QueueDriver) pipeline.Def {
	defaults := Config{Queue: "default", Lease: pipeline.Duration(pipeline.DefaultLease), drivers: drivers}
	return pipeline.Define("claim", "claims work items from a queue or an input, acknowledges them, gives them back",
		defaults, open)
}

// Validate reports what cannot work, before anything is opened.
func (c Config) Validate(v *pipeline.Validation) {
	scheme, rest, ok := pipeline.SplitURL(c.From)
	switch _, known := driverOf(c.drivers, scheme); {
	case !ok || rest == "":
		v.Problem("from", "bad-url", knownSchemes(c.drivers), "%q is not a URL of a queue or input", c.From)
	case !known:
		v.Problem("from", "unknown-scheme", knownSchemes(c.drivers), "unknown scheme %q", scheme)
	}
	if strings.TrimSpace(c.Queue) == "" {
		v.Problem("queue", pipeline.CodeBadValue, "leave it out for \"default\"", "the queue's name is empty")
	}
	if scheme == "file" {
		return
	}
	for key, value := range map[string]string{"format": c.Format, "checkpoint": c.Checkpoint} {
		if value != "" {
			v.Problem(key, pipeline.CodeBadValue, "only file: inputs have it", "%s does not apply to %q", key, scheme)
		}
	}
}

// open makes the source. The queue must be there: a pipeline does not make
// one, so a misspelt name is an error and not an empty run.
func open(ctx context.Context, c Config, env pipeline.Env) (pipeline.Source, error) {
	src, err := Open(ctx, c.drivers, c.From, pipeline.QueueOptions{
		Queue: c.Queue, Lease: c.Lease.D(), Owner: env.Run.ID, MaxAttempts: env.Run.MaxAttempts,
		Dir: env.Dir, Format: c.Format, Checkpoint: c.Checkpoint, Log: env.Log,
	})
	if err != nil {
		return nil, err
	}
	return src, nil
}

// Open opens what a URL names with the driver of its scheme.
func Open(ctx context.Context, drivers []pipeline.QueueDriver, url string, o pipeline.QueueOptions) (pipeline.Source, error) {
	scheme, _, ok := pipeline.SplitURL(url)
	if !ok {
		return nil, pipeline.Fail("bad-url", "%q is not a URL of a queue or input", url).WithHint("%s", knownSchemes(drivers))
	}
	d, ok := driverOf(drivers, scheme)
	if !ok {
		return nil, pipeline.Fail("unknown-scheme", "%s: unknown scheme %q", url, scheme).WithHint("%s", knownSchemes(drivers))
	}
	return d.Open(ctx, url, o)
}

func driverOf(drivers []pipeline.QueueDriver, scheme string) (pipeline.QueueDriver, bool) {
	for _, d := range drivers {
		if d.Scheme == scheme {
			return d, true
		}
	}
	return pipeline.QueueDriver{}, false
}

// knownSchemes lists what this program was built with.
func knownSchemes(drivers []pipeline.QueueDriver) string {
	docs := make([]string, len(drivers))
	for i, d := range drivers {
		docs[i] = d.Doc
	}
	return "known: " + strings.Join(docs, "; ")
}
