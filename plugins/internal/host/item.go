package host

import (
	"context"

	"github.com/waybill-dev/waybill/pipeline"
	"github.com/waybill-dev/waybill/plugins/internal/module"
)

// OneByOne tells that the kernel works on one item per instance, with RunItem,
// and knows no records, batches and operations: a WASI command or an Extism
// plug-in.
func (k *Kernel) OneByOne() bool { return k.Dialect == module.Command || k.Dialect == module.Extism }

// RunItem runs a kernel that works one by one; see RunCommand and RunExtism.
func (k *Kernel) RunItem(ctx context.Context, input []byte, now, seed uint64, payer *pipeline.Budget) (CommandResult, error) {
	if k.Dialect == module.Extism {
		return k.RunExtism(ctx, input, now, seed, payer)
	}
	return k.RunCommand(ctx, input, now, seed, payer)
}
