package cli

import (
	"fmt"

	"github.com/waybill-dev/waybill/pipeline"
)

// suggest returns a hint with the candidate nearest to what was written, or
// otherwise if none is near.
func suggest(written string, candidates []string, otherwise string) string {
	near := pipeline.Nearest(written, candidates)
	if near == "" {
		return otherwise
	}
	return fmt.Sprintf("did you mean %s?", near)
}
