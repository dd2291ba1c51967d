//go:build !race

package meter_test

import "github.com/tetratelabs/wazero"

// engine runs the specification's tests: what kernels run on. With the race
// detector it is the interpreter and the newer suite only, because the compiler
// would take minutes.
func engine() wazero.RuntimeConfig { return wazero.NewRuntimeConfigCompiler() }

func suites() []string { return []string{"v1", "v2"} }
