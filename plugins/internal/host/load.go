package host

import (
	"errors"
	"fmt"
	"strings"

	"github.com/waybill-dev/waybill/plugins/internal/meter"
	"github.com/waybill-dev/waybill/plugins/internal/module"
	"github.com/waybill-dev/waybill/plugins/internal/wasi"
)

// Finding is one reason why a module cannot run.
type Finding struct{ Code, Message, Hint string }

// Error renders the finding with its hint.
func (f Finding) Error() string {
	if f.Hint == "" {
		return f.Message
	}
	return f.Message + " (" + f.Hint + ")"
}

// Inspect reads a module without compiling it and lists everything that keeps
// it from running within so much memory.
func Inspect(wasm []byte, memory uint64) (module.Dialect, []Finding) {
	d, _, found := inspect(wasm, memory)
	return d, found
}

// inspect returns the metered module too, if nothing was found.
func inspect(wasm []byte, memory uint64) (module.Dialect, *meter.Metered, []Finding) {
	m, err := module.Parse(wasm)
	if err != nil {
		return module.Unknown, nil, []Finding{{CodeBad, err.Error(), badHint(err)}}
	}
	d, found := fits(m, memory)
	if d == module.Unknown {
		return d, nil, found
	}
	metered, err := meter.Rewrite(wasm, meter.DefaultCaps())
	if err != nil {
		found = append(found, Finding{CodeBad, err.Error(), ""})
	}
	return d, metered, found
}

// fits compares imports, exports and memory with what the host has.
func fits(m *module.Module, memory uint64) (module.Dialect, []Finding) {
	d := m.Dialect()
	switch d {
	case module.Unknown:
		return d, []Finding{{CodeExports, "neither a k1 kernel (no export k1_abi) nor a WASI command (no export _start) nor an Extism plug-in (no import of extism:host/env)",
			"build it with plugins/sdk/go, or as a WASI preview 1 command"}}
	}
	var found []Finding
	for _, what := range m.Check(d, wasi.Signatures()) {
		found = append(found, Finding{CodeExports, what, ""})
	}
	if m.MemoryMin > memory {
		found = append(found, Finding{CodeMemory,
			fmt.Sprintf("needs %d bytes of memory to start, the limit is %d", m.MemoryMin, memory), "raise limits.memory"})
	}
	if d == module.Extism {
		found = append(found, extismFindings(m, memory)...)
	}
	return d, found
}

func badHint(err error) string {
	switch {
	case errors.Is(err, module.ErrComponent):
		return "take the core module inside, or build for wasm32-wasip1 instead of wasip2"
	case errors.Is(err, module.ErrText):
		return "run it through wat2wasm"
	}
	return ""
}

// join makes one Failure of all findings.
func join(o Options, found []Finding) *Failure {
	causes := make([]string, len(found))
	for i, f := range found {
		causes[i] = f.Error()
	}
	return &Failure{Code: found[0].Code, Kernel: o.Name, Digest: o.Digest, Cause: strings.Join(causes, "; ")}
}
