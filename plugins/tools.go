package plugins

import (
	"context"

	"github.com/waybill-dev/waybill/pipeline"
	"github.com/waybill-dev/waybill/plugins/internal/scaffold"
)

// Tools is what the command line does with kernels; the zero value is ready.
// Each method's contract stands at pipeline.KernelTools.
type Tools struct{}

var _ pipeline.KernelTools = Tools{}

// Run runs a kernel over one record, as the function of that name.
func (Tools) Run(ctx context.Context, r pipeline.KernelRun) (pipeline.KernelResult, error) {
	return Run(ctx, r)
}

// Languages lists the languages that have a template.
func (Tools) Languages() []string { return scaffold.Languages() }

// New writes a project.
func (Tools) New(lang, dir string) ([]string, error) { return scaffold.Write(lang, dir) }
