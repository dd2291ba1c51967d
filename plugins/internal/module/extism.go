package module

import (
	"fmt"
	"slices"
	"strings"
)

// ImportExtism is the import module of Extism's own functions.
const ImportExtism = "extism:host/env"

// ExtismImports returns the functions of ImportExtism that plug-ins use: those
// of Extism's plug-in development kits. The rest of that module is between the
// host and Extism's kernel.
func ExtismImports() map[string]Sig {
	return map[string]Sig{
		"alloc":            "(i64) -> i64",
		"free":             "(i64)",
		"length":           "(i64) -> i64",
		"length_unsafe":    "(i64) -> i64",
		"load_u8":          "(i64) -> i32",
		"load_u64":         "(i64) -> i64",
		"store_u8":         "(i64, i32)",
		"store_u64":        "(i64, i64)",
		"input_offset":     "() -> i64",
		"input_length":     "() -> i64",
		"input_load_u8":    "(i64) -> i32",
		"input_load_u64":   "(i64) -> i64",
		"output_set":       "(i64, i64)",
		"error_set":        "(i64)",
		"config_get":       "(i64) -> i64",
		"var_get":          "(i64) -> i64",
		"var_set":          "(i64, i64)",
		"http_request":     "(i64, i64) -> i64",
		"http_status_code": "() -> i32",
		"http_headers":     "() -> i64",
		"log_trace":        "(i64)",
		"log_debug":        "(i64)",
		"log_info":         "(i64)",
		"log_warn":         "(i64)",
		"log_error":        "(i64)",
		"get_log_level":    "() -> i32",
	}
}

// WantsHTTP tells that an Extism plug-in imports the function for requests.
func (m *Module) WantsHTTP() bool {
	return slices.ContainsFunc(m.Imports, func(i Import) bool { return i.Module == ImportExtism && i.Name == "http_request" })
}

// ExtismFunction returns the export that a host calls: the named one or, if
// name is empty, the only one that does not belong to a language's runtime.
func (m *Module) ExtismFunction(name string) (string, error) {
	found := m.extismFunctions()
	switch {
	case name != "" && slices.Contains(found, name):
		return name, nil
	case name == "_start" && m.callable(m.Export(name)):
		return name, nil
	case name != "":
		return "", fmt.Errorf("no export %s without parameters and with at most one result; there are: %s", name, oneOf(found))
	case len(found) == 1:
		return found[0], nil
	case len(found) == 0 && m.callable(m.Export("_start")):
		return "_start", nil
	case len(found) == 0:
		return "", fmt.Errorf("exports no function that can be called: none has no parameters and at most one result")
	}
	return "", fmt.Errorf("exports several functions: %s", oneOf(found))
}

func oneOf(names []string) string {
	if len(names) == 0 {
		return "none"
	}
	return strings.Join(names, ", ")
}

// extismFunctions lists what an Extism host can call, in the module's order.
func (m *Module) extismFunctions() []string {
	var found []string
	for i := range m.Exports {
		if e := &m.Exports[i]; m.callable(e) && !ofRuntime(e.Name) {
			found = append(found, e.Name)
		}
	}
	return found
}

// callable tells that Extism's calling convention fits: no parameters, and
// nothing or a code as the result.
func (m *Module) callable(e *Export) bool {
	if e == nil || e.Kind != Func {
		return false
	}
	return e.Sig == "()" || e.Sig == "() -> i32" || e.Sig == "() -> i64"
}

// ofRuntime tells by its name that an export is a language runtime's.
func ofRuntime(name string) bool {
	switch name {
	case "_start", "_initialize", "__wasm_call_ctors", "hs_init", "hs_exit", "malloc", "alloc":
		return true
	}
	return strings.HasPrefix(name, "asyncify_") || strings.HasPrefix(name, "__")
}
