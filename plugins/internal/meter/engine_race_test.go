//go:build race

package meter_test

import "github.com/tetratelabs/wazero"

func engine() wazero.RuntimeConfig { return wazero.NewRuntimeConfigInterpreter() }

func suites() []string { return []string{"v2"} }
