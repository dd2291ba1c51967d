package toolchain

import (
	"context"
	"fmt"
	"io"
)

// Builder compiles kernel projects of one language.
type Builder struct {
	// Lang is the language's name: go, rust, assemblyscript, c, zig.
	Lang string
	// Detect tells whether a folder is a project of this language.
	Detect func(dir string) bool
	// Find looks for the toolchain. The error is a *Missing.
	Find func() error
	// Build compiles the project in dir to the module out and sends what the
	// tools print to log.
	Build func(ctx context.Context, dir, out string, log io.Writer) error
}

// Missing is a toolchain that is not there.
type Missing struct {
	Lang string
	What string // the program or library that was not found
	Hint string // how to get it
}

// Error says what is missing.
func (m *Missing) Error() string {
	return fmt.Sprintf("no %s toolchain: %s not found (%s)", m.Lang, m.What, m.Hint)
}
