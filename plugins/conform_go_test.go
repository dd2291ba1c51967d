package plugins

import "testing"

// TestConformGo: Go's module is too large to be committed; it is built for the
// tests.
func TestConformGo(t *testing.T) { checkConform(t, built.path("conform.wasm")) }
