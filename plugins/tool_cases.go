package plugins

import (
	"context"
	"fmt"
	"path/filepath"

	"github.com/waybill-dev/waybill/pipeline"
	"github.com/waybill-dev/waybill/plugins/internal/host"
	"github.com/waybill-dev/waybill/plugins/internal/samples"
)

// codeCases: there is nothing to test.
const codeCases = "kernel-cases"

// Test runs the golden cases beside a kernel.
func (Tools) Test(ctx context.Context, t pipeline.KernelTest) (pipeline.KernelReport, error) {
	s, err := openSubject(t.KernelTarget)
	if err != nil {
		return pipeline.KernelReport{}, err
	}
	r := s.report()
	if len(r.Problems) > 0 {
		return r, nil
	}
	cases, err := s.cases(t.Cases)
	if err != nil {
		return r, err
	}
	err = s.each(ctx, cases, func(c samples.Case, k *host.Kernel) error {
		found, err := s.golden(ctx, k, c, t.Update)
		r.Cases = append(r.Cases, found)
		return err
	})
	return r, err
}

// cases reads the golden cases; none at all is an error.
func (s *subject) cases(dir string) ([]samples.Case, error) {
	if dir == "" {
		dir = filepath.Join(filepath.Dir(s.file), casesDir)
	}
	cases, err := samples.ReadCases(dir, s.manifest)
	if err != nil {
		return nil, pipeline.Fail(codeCases, "%w", err)
	}
	if len(cases) == 0 {
		return nil, pipeline.Fail(codeCases, "no golden cases: there is no file %s", filepath.Join(dir, "*.json")).
			WithHint(`write one such as {"name":"hello","value":"hello"}; --update fills in what the kernel answers`)
	}
	return cases, nil
}

// each calls f for each case with a kernel that has its configuration. The
// kernels are kept until the end, so each is compiled once.
func (s *subject) each(ctx context.Context, cases []samples.Case, f func(samples.Case, *host.Kernel) error) (err error) {
	kernels := make(map[string]*host.Kernel)
	defer func() {
		for _, k := range kernels {
			if closing := k.Close(ctx); err == nil {
				err = closing
			}
		}
	}()
	for _, c := range cases {
		config := string(c.ConfigJSON())
		if kernels[config] == nil {
			fmt.Fprintf(s.Progress, "compiling %s\n", s.file)
			k, err := s.kernel(ctx, c.ConfigJSON(), false)
			if err != nil {
				return err
			}
			kernels[config] = k
		}
		if err := f(c, kernels[config]); err != nil {
			return err
		}
	}
	return nil
}

// golden runs one case and rewrites its file if that is asked for and the kernel
// answered.
func (s *subject) golden(ctx context.Context, k *host.Kernel, c samples.Case, update bool) (pipeline.KernelCase, error) {
	out := pipeline.KernelCase{Name: c.Name, File: c.File}
	answer, err := samples.RunFresh(ctx, k, s.manifest.Ports, samples.Record(&c.Sample))
	if err != nil {
		return out, err
	}
	out.Fuel, out.Detail = answer.Fuel, samples.Compare(&c.Sample, answer, s.manifest.Ports)
	if update && out.Detail != "" && answer.Failure == nil {
		answer.Into(&c.Sample)
		out.Detail = ""
		if out.Updated, err = c.Save(); err != nil {
			return out, err
		}
	}
	out.Passed = out.Detail == ""
	return out, nil
}
