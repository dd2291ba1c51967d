package claim

import (
	"context"
	"errors"
	"slices"
	"strings"

	"github.com/waybill-dev/waybill/pipeline"
	"github.com/waybill-dev/waybill/stages/internal/cas"
)

// Config is the config of the stage "claim".
type Config struct {
	// URL of the queue or input: sqlite:var/queue.db, mongodb://host/db, nats://host:4222, file:items.jsonl, stdin, dir:inbox, http:127.0.0.1:8080/work, cron:0 3 * * *.
	From string `yaml:"from"`
	// Name of the queue inside the store.
	Queue string `yaml:"queue,optional"`
	// How long a claim lasts without renewal.
	Lease pipeline.Duration `yaml:"lease,optional" min:"1s" max:"12h"`
	// How an input is read: items, jsonl or lines, for file: also csv and files, for http: also raw. Told by a file's name if left out, else items.
	Format string `yaml:"format,optional" enum:"items|jsonl|lines|csv|files|raw"`
	// File in which file:, dir:, http: or cron: remembers what has ended; without it a run starts anew.
	Checkpoint string `yaml:"checkpoint,optional"`
	// Which keys this process claims: any, or leased, those of the lanes that it holds while all processes share them.
	Lanes string `yaml:"lanes,optional" enum:"any|leased"`
	// Bearer token that clients of an http: source must show, such as ${env:WORK_TOKEN}.
	Token string `yaml:"token,optional"`
	// Object store of bodies over 1 MiB, the one that items were enqueued with (waybill enqueue --bodies): file:var/objects.
	Bodies string `yaml:"bodies,optional"`

	drivers []pipeline.QueueDriver  // what From may name; not part of the file
	objects []pipeline.ObjectDriver // what Bodies may name
}

// lanesLeased is the value of Lanes under which processes share the lanes.
const lanesLeased = "leased"

// Sharing implements pipeline.Shared.
func (c Config) Sharing() (queue string, leased bool) { return c.Queue, c.Lanes == lanesLeased }

// Def returns the definition of the stage "claim" over these drivers of queues
// and of object stores.
func Def(drivers []pipeline.QueueDriver, objects ...pipeline.ObjectDriver) pipeline.Def {
	defaults := Config{Queue: "default", Lanes: "any", Lease: pipeline.Duration(pipeline.DefaultLease), drivers: drivers, objects: objects}
	return pipeline.Define("claim", "claims work items from a queue or an input, acknowledges them, gives them back",
		defaults, open)
}

// Validate reports what cannot work, before anything is opened.
func (c Config) Validate(v *pipeline.Validation) {
	url := withColon(c.drivers, c.From)
	scheme, rest, ok := pipeline.SplitURL(url)
	d, known := driverOf(c.drivers, scheme)
	switch {
	case !ok || rest == "" && d.Check == nil:
		v.Problem("from", "bad-url", knownSchemes(c.drivers), "%q is not a URL of a queue or input", c.From)
	case !known:
		v.Problem("from", "unknown-scheme", knownSchemes(c.drivers), "unknown scheme %q", scheme)
	}
	if strings.TrimSpace(c.Queue) == "" {
		v.Problem("queue", pipeline.CodeBadValue, "leave it out for \"default\"", "the queue's name is empty")
	}
	c.checkBodies(v)
	if c.refuses(v, d, scheme) || d.Check == nil {
		return
	}
	v.Error("from", "bad-url", d.Check(url, pipeline.QueueOptions{Queue: c.Queue, Dir: v.Dir, Format: c.Format, Checkpoint: c.Checkpoint, Token: c.Token}))
}

// checkBodies reports what is wrong with the URL of the object store.
func (c Config) checkBodies(v *pipeline.Validation) {
	if c.Bodies == "" {
		return
	}
	_, _, err := cas.CheckURL(c.objects, c.Bodies)
	v.Error("bodies", "bad-url", err)
}

// refuses reports keys that a driver does not have.
func (c Config) refuses(v *pipeline.Validation, d pipeline.QueueDriver, scheme string) (found bool) {
	lanes := ""
	if c.Lanes == lanesLeased {
		lanes = c.Lanes
	}
	for _, k := range []struct{ key, value string }{{"format", c.Format}, {"checkpoint", c.Checkpoint}, {"token", c.Token}, {"lanes", lanes}} {
		if k.value == "" || slices.Contains(d.Takes, k.key) {
			continue
		}
		found = true
		v.Problem(k.key, pipeline.CodeBadValue, "it is for "+takers(c.drivers, k.key), "%s does not apply to %q", k.key, scheme)
	}
	return found
}

// takers lists the schemes that know a key.
func takers(drivers []pipeline.QueueDriver, key string) string {
	var out []string
	for _, d := range drivers {
		if slices.Contains(d.Takes, key) {
			out = append(out, d.Scheme+":")
		}
	}
	return strings.Join(out, ", ")
}

// withColon lets a scheme stand for itself: "stdin" is "stdin:", for in YAML a
// colon at the end of a word begins a mapping.
func withColon(drivers []pipeline.QueueDriver, url string) string {
	for _, d := range drivers {
		if rest, ok := strings.CutPrefix(url, d.Scheme); ok && (rest == "" || rest[0] == '?') {
			return d.Scheme + ":" + rest
		}
	}
	return url
}

// open makes the source. The queue must be there: a pipeline does not make
// one, so a misspelt name is an error and not an empty run.
func open(ctx context.Context, c Config, env pipeline.Env) (pipeline.Source, error) {
	var lanes func() pipeline.LaneSet
	if c.Lanes == lanesLeased {
		lanes = env.Lanes
	}
	src, err := Open(ctx, c.drivers, c.From, pipeline.QueueOptions{
		Queue: c.Queue, Lanes: lanes, Lease: c.Lease.D(), Owner: env.Run.ID, MaxAttempts: env.Run.MaxAttempts,
		Dir: env.Dir, Format: c.Format, Checkpoint: c.Checkpoint, Token: c.Token, Stdin: env.Stdin, Log: env.Log,
	})
	if err != nil {
		return nil, err
	}
	b, err := openBodies(ctx, c, env)
	if err != nil {
		return nil, errors.Join(err, closeSource(src))
	}
	return withBodies(src, b), nil
}

// Open opens what a URL names with the driver of its scheme.
func Open(ctx context.Context, drivers []pipeline.QueueDriver, url string, o pipeline.QueueOptions) (pipeline.Source, error) {
	url = withColon(drivers, url)
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
