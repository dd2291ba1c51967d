package plugins

import (
	"context"
	"fmt"
	"slices"
	"time"

	"github.com/waybill-dev/waybill/pipeline"
	"github.com/waybill-dev/waybill/plugins/internal/host"
	"github.com/waybill-dev/waybill/plugins/internal/k1"
	"github.com/waybill-dev/waybill/plugins/internal/manifest"
	"github.com/waybill-dev/waybill/plugins/internal/samples"
)

// How a measurement is made: so many rounds of so much CPU time for each figure,
// in turns, so that what else the machine does hits all alike.
const (
	benchRounds = 9
	benchRound  = 40 * time.Millisecond
)

// Bench measures what a record costs alone and in a batch of 64.
func (Tools) Bench(ctx context.Context, r pipeline.KernelBench) (cost pipeline.KernelCost, err error) {
	s, err := openSubject(r.KernelTarget)
	if err != nil {
		return cost, err
	}
	config, in, err := s.benched(r)
	if err != nil {
		return cost, err
	}
	fmt.Fprintf(s.Progress, "compiling %s\n", s.file)
	k, err := s.kernel(ctx, config, false)
	if err != nil {
		return cost, err
	}
	defer k.Close(ctx)
	began := time.Now()
	answer, err := samples.RunFresh(ctx, k, s.manifest.Ports, in)
	if err == nil {
		err = classify(answer.Failure)
	}
	if err != nil {
		return cost, err
	}
	cost = pipeline.KernelCost{File: s.file, Digest: s.digest, Input: len(in.Value), Fuel: answer.Fuel, Start: time.Since(began)}
	fmt.Fprintf(s.Progress, "measuring\n")
	cost.Batches, err = measure(ctx, k, in)
	return cost, err
}

// benched is the record to measure, and the configuration that goes with it.
func (s *subject) benched(r pipeline.KernelBench) (config []byte, in k1.Record, err error) {
	if all := s.manifest.Samples; r.Case == "" && len(r.Input) == 0 && r.Config == nil && len(all) > 0 {
		r.Case = all[0].Name // nothing was given: a kernel's own example says more than an empty record
	}
	if r.Case == "" {
		return r.Config, k1.Record{Value: r.Input, Seed: seed("", r.Input)}, nil
	}
	known := make([]string, 0, len(s.manifest.Samples))
	found := func(sample *manifest.Sample) bool {
		known = append(known, sample.Name)
		return sample.Name == r.Case
	}
	for i := range s.manifest.Samples {
		if sample := &s.manifest.Samples[i]; found(sample) {
			return sample.ConfigJSON(), samples.Record(sample), nil
		}
	}
	cases, err := s.cases("")
	if err != nil && pipeline.CodeOf(err) != codeCases {
		return nil, in, err
	}
	for i := range cases {
		if found(&cases[i].Sample) {
			return cases[i].ConfigJSON(), samples.Record(&cases[i].Sample), nil
		}
	}
	hint := "there is none"
	if len(known) > 0 {
		hint = fmt.Sprintf("there are %q", known)
		if near := pipeline.Nearest(r.Case, known); near != "" {
			hint = "did you mean " + near + "?"
		}
	}
	return nil, in, pipeline.Fail(codeCases, "no sample or golden case %q", r.Case).WithHint("%s", hint)
}

// bencher measures one batch size.
type bencher struct {
	size  int
	turns int       // calls of one round
	nanos []float64 // CPU time per record of each round
	call  func(context.Context) error
	fuel  int64
}

// measure takes each size twice, so that the second is a control of the first.
func measure(ctx context.Context, k *host.Kernel, in k1.Record) ([]pipeline.KernelBatchCost, error) {
	sizes := []int{1, 64}
	if k.OneByOne() {
		sizes = sizes[:1]
	}
	pool := host.NewPool(k, 1)
	defer pool.Close()
	var all []*bencher
	for range 2 {
		for _, n := range sizes {
			all = append(all, newBencher(k, pool, in, n))
		}
	}
	for _, b := range all {
		if err := b.calibrate(ctx); err != nil {
			return nil, err
		}
	}
	for range benchRounds {
		for _, b := range all {
			if err := b.round(ctx); err != nil {
				return nil, err
			}
		}
	}
	out := make([]pipeline.KernelBatchCost, len(sizes))
	for i, n := range sizes {
		a, control := all[i], all[i+len(sizes)]
		out[i] = pipeline.KernelBatchCost{Size: n, Nanos: median(a.nanos), Control: median(control.nanos), Fuel: a.fuel}
	}
	return out, nil
}

func newBencher(k *host.Kernel, pool *host.Pool, in k1.Record, size int) *bencher {
	b := &bencher{size: size, turns: 1}
	if k.OneByOne() {
		b.call = func(ctx context.Context) error {
			_, err := k.RunItem(ctx, in.Value, in.Time, in.Seed, nil)
			return err
		}
		return b
	}
	records := slices.Repeat([]k1.Record{in}, size)
	var ops []k1.Op
	b.call = func(ctx context.Context) (err error) {
		ops, err = pool.Run(ctx, ops[:0], 0, records)
		return err
	}
	purse := pipeline.NewBudget(0, 0)
	if _, err := pool.Run(context.Background(), nil, 0, records, slices.Repeat([]*pipeline.Budget{purse}, size)...); err == nil {
		b.fuel = purse.Spent(pipeline.UnitFuel) / int64(size)
	}
	return b
}

// calibrate finds how many calls a round takes.
func (b *bencher) calibrate(ctx context.Context) error {
	for {
		took, err := b.spend(ctx)
		if err != nil {
			return err
		}
		if took >= benchRound/4 {
			b.turns = max(1, int(float64(b.turns)*float64(benchRound)/float64(took)))
			return nil
		}
		b.turns *= 4
	}
}

func (b *bencher) round(ctx context.Context) error {
	took, err := b.spend(ctx)
	b.nanos = append(b.nanos, float64(took.Nanoseconds())/float64(b.turns*b.size))
	return err
}

// spend makes the calls of one round and returns their CPU time.
func (b *bencher) spend(ctx context.Context) (time.Duration, error) {
	began := cpuTime()
	for range b.turns {
		if err := b.call(ctx); err != nil {
			return 0, classify(err)
		}
	}
	return cpuTime() - began, ctx.Err()
}

func median(all []float64) float64 {
	sorted := slices.Sorted(slices.Values(all))
	return sorted[len(sorted)/2]
}
