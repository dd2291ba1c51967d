package cas

import (
	"fmt"

	"github.com/waybill-dev/waybill/pipeline"
	"github.com/waybill-dev/waybill/stages/internal/durable"
)

// putError gives a failed write to a place the kind that the engine acts on.
func putError(place string, err error) error {
	if durable.NoRoom(err) {
		return durable.WriteError("cannot write to "+place, err, pipeline.Retry, "store")
	}
	return fmt.Errorf("cannot write to %s: %w", place, err)
}
