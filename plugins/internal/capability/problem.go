package capability

import (
	"errors"
	"fmt"
)

// Problem is one thing that is wrong with a configuration. Path names the field
// in the form of a pipeline file: "hosts[0]", "credentials.api.header".
type Problem struct{ Path, Message, Hint string }

// Error renders the problem in one line.
func (p Problem) Error() string {
	if p.Hint == "" {
		return p.Path + ": " + p.Message
	}
	return fmt.Sprintf("%s: %s (%s)", p.Path, p.Message, p.Hint)
}

func join(found []Problem) error {
	errs := make([]error, len(found))
	for i, p := range found {
		errs[i] = p
	}
	return errors.Join(errs...)
}
