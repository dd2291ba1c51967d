package module

import (
	"fmt"
	"strings"
)

// Dialect is the way a module talks to its host.
type Dialect string

const (
	K1      Dialect = "k1"      // spec/kernel-abi.md
	Command Dialect = "wasi"    // WASI preview 1 command: stdin to stdout
	Extism  Dialect = "extism"  // Extism plug-in
	Unknown Dialect = "unknown" // none of these
)

// Names of import modules.
const (
	ImportKernel = "kernel/1"
	ImportWASI   = "wasi_snapshot_preview1"
)

// k1Exports are the functions that a k1 kernel must export (and may export,
// where optional).
var k1Exports = []struct {
	name     string
	sig      Sig
	optional bool
}{
	{"k1_abi", "() -> i64", false},
	{"k1_buffer", "(i32) -> i32", false},
	{"k1_init", "(i32, i32) -> i64", false},
	{"k1_run", "(i32, i32) -> i64", false},
	{"k1_flush", "(i32) -> i64", true},
	{"_initialize", "()", true},
}

// KernelImports returns the functions of the import module kernel/1.
func KernelImports() map[string]Sig {
	return map[string]Sig{
		"log":       "(i32, i32, i32)",
		"fail":      "(i32, i32, i32)",
		"counter":   "(i32, i64)",
		"state_get": "(i32, i32, i32, i32) -> i64",
		"state_put": "(i32, i32, i32, i32) -> i64",
		"http":      "(i32, i32, i32, i32) -> i64",
		"blob":      "(i32, i32, i32, i32) -> i64",
		"secret":    "(i32, i32, i32, i32) -> i64",
		"rest":      "(i32, i32, i32) -> i64",
	}
}

// Dialect tells by imports and exports what the module is.
func (m *Module) Dialect() Dialect {
	for _, e := range m.Exports {
		if strings.HasPrefix(e.Name, "k1_") {
			return K1
		}
	}
	for _, i := range m.Imports {
		if strings.HasPrefix(i.Module, "extism:host/") {
			return Extism
		}
	}
	if e := m.Export("_start"); e != nil && e.Kind == Func {
		return Command
	}
	return Unknown
}

// Check lists everything that keeps the module from running as dialect d, with
// the WASI functions that the host has. An empty list means that it links.
func (m *Module) Check(d Dialect, wasi map[string]Sig) []string {
	var found []string
	add := func(format string, args ...any) { found = append(found, fmt.Sprintf(format, args...)) }
	if e := m.Export("memory"); e == nil || e.Kind != Memory {
		add("no export (memory \"memory\")")
	}
	if m.Memories > 1 {
		add("%d memories, one is allowed", m.Memories)
	}
	switch d {
	case K1:
		m.checkExports(add)
	case Command:
		if e := m.Export("_start"); e != nil && e.Sig != "()" {
			add("export _start has signature %s, want ()", e.Sig)
		}
	}
	known := map[string]map[string]Sig{ImportWASI: wasi}
	switch d {
	case K1:
		known[ImportKernel] = KernelImports()
	case Extism:
		known[ImportExtism] = ExtismImports()
	}
	m.checkImports(known, add)
	return found
}

func (m *Module) checkExports(add func(string, ...any)) {
	for _, want := range k1Exports {
		e := m.Export(want.name)
		switch {
		case e == nil && want.optional:
		case e == nil:
			add("no export %s %s", want.name, want.sig)
		case e.Kind != Func:
			add("export %s is a %s, want a function %s", want.name, e.Kind, want.sig)
		case e.Sig != want.sig:
			add("export %s has signature %s, want %s", want.name, e.Sig, want.sig)
		}
	}
}

func (m *Module) checkImports(known map[string]map[string]Sig, add func(string, ...any)) {
	for _, i := range m.Imports {
		funcs, module := known[i.Module]
		want, name := funcs[i.Name]
		switch {
		case !module:
			add("import %s.%s: the host has no module %q", i.Module, i.Name, i.Module)
		case !name:
			add("import %s.%s: the host has no such function", i.Module, i.Name)
		case i.Kind != Func:
			add("import %s.%s is a %s, the host has a function", i.Module, i.Name, i.Kind)
		case i.Sig != want:
			add("import %s.%s has signature %s, the host has %s", i.Module, i.Name, i.Sig, want)
		}
	}
}
