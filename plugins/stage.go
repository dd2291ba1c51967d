package plugins

import (
	"context"
	"log/slog"
	"time"

	"github.com/waybill-dev/waybill/pipeline"
	"github.com/waybill-dev/waybill/plugins/internal/host"
	"github.com/waybill-dev/waybill/plugins/internal/k1"
)

// MediaWASM is the media type of a module in receipts (IANA).
const MediaWASM = "application/wasm"

// Failure is a failed call of a kernel; errors.As finds it in the errors of the
// stage and of Run.
type Failure = host.Failure

// Def returns the definition of the stage "kernel".
func Def() pipeline.Def {
	return pipeline.Define("kernel", "runs a WebAssembly kernel, sandboxed, over the item", Defaults(), New)
}

var (
	_ pipeline.Validator = Config{}
	_ pipeline.Stage     = (*stage)(nil)
	_ pipeline.Starter   = (*stage)(nil)
	_ pipeline.Closer    = (*stage)(nil)
	_ pipeline.Batcher   = batcher{}
)

// New makes the stage; the module is read and compiled by Start.
func New(_ context.Context, c Config, env pipeline.Env) (pipeline.Stage, error) {
	if env.Log == nil {
		env.Log = slog.New(slog.DiscardHandler)
	}
	if c.Input == "" {
		c.Input = inputBody
	}
	s := &stage{config: c, env: env}
	if c.Batch > 1 {
		return batcher{s}, nil
	}
	return s, nil
}

// stage runs one item per call.
type stage struct {
	config     Config
	env        pipeline.Env
	kernel     *host.Kernel
	pool       *host.Pool // nil for a kernel that works one by one
	ports      []string   // their names; none: one port without a name
	dependency pipeline.Dependency
}

// Start loads and compiles the module and makes the first instance.
func (s *stage) Start(ctx context.Context) error {
	k, m, err := load(ctx, s.config, place{s.env.Pos.File, s.env.Dir, s.env.CacheDir}, s.env.Log)
	if err != nil {
		return err
	}
	s.kernel, s.ports = k, m.Ports
	s.dependency = pipeline.Dependency{Name: k.Name, URI: s.config.Use, MediaType: MediaWASM, Digest: k.Digest,
		Annotations: map[string]string{"dialect": string(k.Dialect), "config": string(pipeline.DigestOf(k.Config))}}
	if m.Version != "" {
		s.dependency.Annotations["version"] = m.Version
	}
	if k.OneByOne() {
		return nil
	}
	s.pool = host.NewPool(k, s.env.Concurrency)
	if err := s.pool.Warm(ctx); err != nil {
		return classify(err)
	}
	return nil
}

// Process runs the kernel over one item.
func (s *stage) Process(ctx context.Context, it *pipeline.Item) error {
	in, err := s.input(it)
	if err != nil {
		return err
	}
	if s.pool == nil {
		out, err := s.kernel.RunItem(ctx, in.Value, in.Time, in.Seed, it.Budget)
		if err != nil {
			return s.failed(it, err)
		}
		return s.finish(it, []k1.Op{{Code: k1.Put, Value: out.Output}})
	}
	ops, err := s.pool.Run(ctx, nil, it.Lane, []k1.Record{in}, it.Budget)
	if err != nil {
		return s.failed(it, err)
	}
	return s.finish(it, ops)
}

// Close frees all instances and the compiled module.
func (s *stage) Close() error {
	if s.pool != nil {
		s.pool.Close()
	}
	if s.kernel == nil {
		return nil
	}
	if c := s.kernel.Counters(); len(c) > 0 {
		s.env.Log.Info("kernel counters", "kernel", s.kernel.Name, "counters", c)
	}
	return s.kernel.Close(context.Background())
}

// batcher gives the kernel several items per call.
type batcher struct{ *stage }

// linger is how long an item waits for company: about what a call costs more
// than its share of a batch.
const linger = 200 * time.Microsecond

// Batching returns the configured batch.
func (b batcher) Batching() (int, time.Duration) { return b.config.Batch, linger }

// ProcessBatch runs the kernel over all items in one call; an item that makes
// it fail is found and fails alone.
func (b batcher) ProcessBatch(ctx context.Context, items []*pipeline.Item) []error {
	errs := make([]error, len(items))
	for _, group := range b.byLane(items) {
		b.processLane(ctx, items, group, errs)
	}
	return errs
}

// byLane returns the indices of the items that may share a call: all of them,
// or those of each lane, if the kernel keeps something for it.
func (s *stage) byLane(items []*pipeline.Item) [][]int {
	var groups [][]int
	at := make(map[int]int)
	for i, it := range items {
		lane := it.Lane
		if !s.kernel.KeepsState() {
			lane = 0
		}
		n, ok := at[lane]
		if !ok {
			n = len(groups)
			at[lane], groups = n, append(groups, nil)
		}
		groups[n] = append(groups[n], i)
	}
	return groups
}

// processLane runs the kernel over the items of a group and notes their errors.
func (b batcher) processLane(ctx context.Context, items []*pipeline.Item, group []int, errs []error) {
	records := make([]k1.Record, 0, len(group))
	payers := make([]*pipeline.Budget, 0, len(group))
	at := make([]int, 0, len(group))
	for _, i := range group {
		r, err := b.input(items[i])
		if err != nil {
			errs[i] = err
			continue
		}
		records, payers, at = append(records, r), append(payers, items[i].Budget), append(at, i)
	}
	if len(at) == 0 {
		return
	}
	for n, o := range b.pool.RunAll(ctx, items[at[0]].Lane, records, payers...) {
		if i := at[n]; o.Err != nil {
			errs[i] = b.failed(items[i], o.Err)
		} else {
			errs[i] = b.finish(items[i], o.Ops)
		}
	}
}
