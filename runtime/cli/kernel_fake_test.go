package cli

import (
	"context"

	"github.com/waybill-dev/waybill/pipeline"
)

// fakeKernels has the tools that a test gives it; the others panic.
type fakeKernels struct {
	pipeline.KernelTools
	run     func(context.Context, pipeline.KernelRun) (pipeline.KernelResult, error)
	create  func(lang, dir string) ([]string, error)
	build   func(pipeline.KernelBuild) (pipeline.KernelModule, error)
	check   func(pipeline.KernelTarget) (pipeline.KernelReport, error)
	test    func(pipeline.KernelTest) (pipeline.KernelReport, error)
	bench   func(pipeline.KernelBench) (pipeline.KernelCost, error)
	inspect func(string) (pipeline.KernelInfo, error)
}

func (f fakeKernels) Languages() []string { return []string{"go", "rust"} }

func (f fakeKernels) Run(ctx context.Context, r pipeline.KernelRun) (pipeline.KernelResult, error) {
	return f.run(ctx, r)
}

func (f fakeKernels) New(lang, dir string) ([]string, error) { return f.create(lang, dir) }

func (f fakeKernels) Build(_ context.Context, r pipeline.KernelBuild) (pipeline.KernelModule, error) {
	return f.build(r)
}

func (f fakeKernels) Check(_ context.Context, t pipeline.KernelTarget) (pipeline.KernelReport, error) {
	return f.check(t)
}

func (f fakeKernels) Test(_ context.Context, r pipeline.KernelTest) (pipeline.KernelReport, error) {
	return f.test(r)
}

func (f fakeKernels) Bench(_ context.Context, r pipeline.KernelBench) (pipeline.KernelCost, error) {
	return f.bench(r)
}

func (f fakeKernels) Inspect(path string) (pipeline.KernelInfo, error) { return f.inspect(path) }
