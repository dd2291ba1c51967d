package plugins

import (
	"context"
	"fmt"
	"slices"
	"time"

	"github.com/waybill-dev/waybill/pipeline"
	"github.com/waybill-dev/waybill/plugins/internal/host"
	"github.com/waybill-dev/waybill/plugins/internal/manifest"
	"github.com/waybill-dev/waybill/plugins/internal/samples"
)

// Check reads the module, then runs the samples of its manifest in every way
// that must not make a difference: fresh instances, one instance for all of
// them in both orders, and the interpreter, because compilers have bugs
// (wazero's issue 2516 is one).
func (Tools) Check(ctx context.Context, t pipeline.KernelTarget) (pipeline.KernelReport, error) {
	s, err := openSubject(t)
	if err != nil {
		return pipeline.KernelReport{}, err
	}
	r := s.report()
	for _, name := range r.Wants {
		if s.manifest.Name != "" && !slices.Contains(s.manifest.Wants, name) {
			r.Notes = append(r.Notes, "it imports "+name+" but its manifest does not list it in `wants`")
		}
	}
	switch {
	case len(r.Problems) > 0:
		return r, nil
	case len(s.manifest.Samples) == 0:
		r.Notes = append(r.Notes, "no sample in the manifest: compiler and interpreter were not compared")
		return r, nil
	}
	if len(r.Wants) > 0 {
		r.Notes = append(r.Notes, "samples run without any grant: what they ask for is answered with -1 (not granted)")
	}
	for _, g := range groups(s.manifest.Samples) {
		cases, err := s.selfTest(ctx, g)
		if err != nil {
			return r, err
		}
		r.Cases = append(r.Cases, cases...)
	}
	return r, nil
}

// groups puts samples with the same configuration together, in order: they can
// share a kernel.
func groups(all []manifest.Sample) [][]*manifest.Sample {
	var out [][]*manifest.Sample
	at := make(map[string]int)
	for i := range all {
		config := string(all[i].ConfigJSON())
		n, known := at[config]
		if !known {
			n = len(out)
			at[config] = n
			out = append(out, nil)
		}
		out[n] = append(out[n], &all[i])
	}
	return out
}

// kernel compiles the module for samples with this configuration.
func (s *subject) kernel(ctx context.Context, config []byte, interpreter bool) (*host.Kernel, error) {
	o, err := s.options(ctx, config)
	if err != nil {
		return nil, err
	}
	if o.Interpreter = interpreter; interpreter {
		o.Limits.Timeout = max(time.Minute, slower*o.Limits.Timeout)
	}
	k, err := host.New(ctx, o)
	return k, classify(err)
}

// slower is what the interpreter may take longer.
const slower = 100

// trial is one way to run all samples of a group.
type trial struct {
	name    string
	answers []samples.Answer
}

// selfTest runs samples that share a configuration.
func (s *subject) selfTest(ctx context.Context, group []*manifest.Sample) ([]pipeline.KernelCase, error) {
	fmt.Fprintf(s.Progress, "compiling %s\n", s.file)
	k, err := s.kernel(ctx, group[0].ConfigJSON(), false)
	if err != nil {
		return nil, err
	}
	trials, err := s.compiled(ctx, k, group)
	if closing := k.Close(ctx); err == nil {
		err = closing
	}
	if err != nil {
		return nil, err
	}
	fmt.Fprintf(s.Progress, "running %s in the interpreter\n", s.file)
	if k, err = s.kernel(ctx, group[0].ConfigJSON(), true); err != nil {
		return nil, err
	}
	defer k.Close(ctx)
	answers, err := s.fresh(ctx, k, group)
	if err != nil {
		return nil, err
	}
	return s.judge(group, append(trials, trial{"in the interpreter", answers})), nil
}

// compiled runs the group in the compiler.
func (s *subject) compiled(ctx context.Context, k *host.Kernel, group []*manifest.Sample) ([]trial, error) {
	var trials []trial
	for _, name := range []string{"", "on another fresh instance"} {
		answers, err := s.fresh(ctx, k, group)
		if err != nil {
			return nil, err
		}
		trials = append(trials, trial{name, answers})
	}
	if k.State == host.Lane {
		return trials, nil // later answers may depend on earlier ones
	}
	shared := samples.NewRunner(k, s.manifest.Ports)
	defer shared.Close()
	forth, err := s.all(ctx, shared, group)
	if err != nil {
		return nil, err
	}
	back := slices.Clone(group)
	slices.Reverse(back)
	answers, err := s.all(ctx, shared, back)
	if err != nil {
		return nil, err
	}
	slices.Reverse(answers)
	return append(trials, trial{"after the other samples, on one instance", forth}, trial{"after the other samples in reverse order, on one instance", answers}), nil
}

// fresh runs each sample on an instance of its own.
func (s *subject) fresh(ctx context.Context, k *host.Kernel, group []*manifest.Sample) ([]samples.Answer, error) {
	out := make([]samples.Answer, len(group))
	for i, sample := range group {
		var err error
		if out[i], err = samples.RunFresh(ctx, k, s.manifest.Ports, samples.Record(sample)); err != nil {
			return nil, err
		}
	}
	return out, nil
}

// all runs each sample on the same instance.
func (s *subject) all(ctx context.Context, r *samples.Runner, group []*manifest.Sample) ([]samples.Answer, error) {
	out := make([]samples.Answer, len(group))
	for i, sample := range group {
		var err error
		if out[i], err = r.Run(ctx, samples.Record(sample)); err != nil {
			return nil, err
		}
	}
	return out, nil
}

// judge compares the first trial with what the samples want, and the others
// with the first.
func (s *subject) judge(group []*manifest.Sample, trials []trial) []pipeline.KernelCase {
	out := make([]pipeline.KernelCase, len(group))
	for i, sample := range group {
		first := trials[0].answers[i]
		detail := samples.Compare(sample, first, s.manifest.Ports)
		for _, t := range trials[1:] {
			if d := samples.Same(first, t.answers[i]); d != "" {
				detail = lines(detail, t.name+" it differs:", d)
			}
		}
		out[i] = pipeline.KernelCase{Name: sample.Name, Passed: detail == "", Fuel: first.Fuel, Detail: detail}
	}
	return out
}

// lines joins what is not empty.
func lines(all ...string) (text string) {
	for _, l := range all {
		if text != "" && l != "" {
			text += "\n"
		}
		text += l
	}
	return text
}
