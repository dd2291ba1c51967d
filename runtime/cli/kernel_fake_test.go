package cli

import (
	"context"

	"github.com/waybill-dev/waybill/pipeline"
)

// fakeKernels has the tools that a test gives it; the others panic.
type fakeKernels struct {
	pipeline.KernelTools
	run func(context.Context, pipeline.KernelRun) (pipeline.KernelResult, error)
}

func (f fakeKernels) Languages() []string { return []string{"go", "rust"} }

func (f fakeKernels) Run(ctx context.Context, r pipeline.KernelRun) (pipeline.KernelResult, error) {
	return f.run(ctx, r)
}
