package plugins

import (
	"fmt"
	"maps"
	"slices"

	"github.com/waybill-dev/waybill/plugins/internal/host"
	"github.com/waybill-dev/waybill/plugins/internal/module"
)

// extism reads `with` for an Extism plug-in. It allows function, the export to
// call, and config, a map of strings, only.
func (c Config) extism() (e host.Extism, err error) {
	for _, key := range slices.Sorted(maps.Keys(c.With)) {
		switch v := c.With[key].(type) {
		case string:
			if key != "function" {
				return e, fmt.Errorf("with.%s: an Extism plug-in takes function and config only", key)
			}
			e.Function = v
		case map[string]any:
			if key != "config" {
				return e, fmt.Errorf("with.%s: an Extism plug-in takes function and config only", key)
			}
			if e.Config, err = stringsOf(v); err != nil {
				return e, err
			}
		default:
			return e, fmt.Errorf("with.%s: an Extism plug-in takes function (a name) and config (a map of strings) only", key)
		}
	}
	return e, nil
}

func stringsOf(m map[string]any) (map[string]string, error) {
	out := make(map[string]string, len(m))
	for _, name := range slices.Sorted(maps.Keys(m)) {
		s, ok := m[name].(string)
		if !ok {
			return nil, fmt.Errorf("with.config.%s is not a string", name)
		}
		out[name] = s
	}
	return out, nil
}

// extismProblems lists what is wrong with the configuration of an Extism
// plug-in.
func (c Config) extismProblems(wasm []byte) []problem {
	var found []problem
	e, err := c.extism()
	if err != nil {
		found = append(found, problem{path: "with", code: "wrong-type", message: err.Error()})
	}
	m, parseErr := module.Parse(wasm)
	if err == nil && parseErr == nil {
		if _, err := m.ExtismFunction(e.Function); err != nil {
			found = append(found, problem{path: "with", code: host.CodeExports, hint: "say which one to call with `function`", message: "the plug-in " + err.Error()})
		}
	}
	if c.Batch > 1 {
		found = append(found, problem{path: "batch", code: "unsupported", hint: "leave it out", message: "an Extism plug-in handles one item per instance"})
	}
	return found
}
