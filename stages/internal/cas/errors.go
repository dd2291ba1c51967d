package cas

import (
	"errors"
	"fmt"
	"syscall"

	"github.com/waybill-dev/waybill/pipeline"
)

// CodeDiskFull is the code of the error for a place without room.
const CodeDiskFull = "disk-full"

// putError gives a failed write to a place the kind that the engine acts on. A
// full disk may be emptied, so another attempt makes sense.
func putError(place string, err error) error {
	if errors.Is(err, syscall.ENOSPC) || errors.Is(err, syscall.EDQUOT) {
		return pipeline.Again(CodeDiskFull, "no room left in %s: %w", place, err).
			WithHint("free space there; nothing was half-written")
	}
	return fmt.Errorf("cannot write to %s: %w", place, err)
}
