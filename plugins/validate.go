package plugins

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/waybill-dev/waybill/pipeline"
	"github.com/waybill-dev/waybill/plugins/internal/host"
	"github.com/waybill-dev/waybill/plugins/internal/module"
)

// codeMissing: the module cannot be read. The other codes are host.Code...
const codeMissing = "kernel-missing"

// codeExpression: ${{ }} where the value is the same for all items.
const codeExpression = "expression"

// codeManifest: a module whose manifest has problems.
const codeManifest = "kernel-manifest"

// problem is one finding with the field that it is about.
type problem struct {
	path, code, hint, message string
	// key puts the finding at the field's key: the field as a whole should not
	// be there, or is missing.
	key bool
}

// Validate reports what would keep the kernel from running: bad limits, unknown
// grants, a missing module, one that does not fit, a configuration that its
// schema refuses, a capability that it wants and does not get. The module is
// read and metered, not compiled.
func (c Config) Validate(v *pipeline.Validation) {
	ctx, cancel := context.WithTimeout(context.Background(), fetchTime)
	defer cancel()
	for _, p := range c.problems(ctx, place{file: v.File, dir: v.Dir, cache: v.CacheDir}) {
		report := v.Problem
		if p.key {
			report = v.KeyProblem
		}
		report(p.path, p.code, p.hint, "%s", p.message)
	}
}

func (c Config) problems(ctx context.Context, at place) []problem {
	found := c.Limits.problems()
	if c.Batch < 1 || c.Batch > maxBatch {
		found = append(found, problem{path: "batch", code: "out-of-range", message: fmt.Sprintf("must be 1 to %d, is %d", maxBatch, c.Batch)})
	}
	found = append(found, c.grantProblems()...)
	found = append(found, expressions("with", c.With)...)
	return append(found, c.moduleProblems(ctx, at)...)
}

func (l Limits) problems() []problem {
	var found []problem
	check := func(path string, good bool, want string) {
		if !good {
			found = append(found, problem{path: "limits." + path, code: "out-of-range", message: "must be " + want})
		}
	}
	check("memory", l.Memory >= module.PageSize && l.Memory <= maxMemory, "64KiB to 4GiB (less one page)")
	check("timeout", l.Timeout > 0, "more than 0")
	check("output", l.Output > 0 && l.Output <= maxOutput, "1 byte to 1GiB")
	check("log", l.Log >= 0 && l.Log <= maxOutput, "0 to 1GiB")
	check("fuel", l.Fuel >= 0, "0 (no limit) or more")
	return found
}

// expressions finds ${{ }} in the configuration, which is read once when the
// kernel starts and not per item.
func expressions(path string, v any) []problem {
	var found []problem
	switch v := v.(type) {
	case string:
		if strings.Contains(v, "${{") {
			found = append(found, problem{path: path, code: codeExpression, hint: "let a transform put the value into the body",
				message: "expressions cannot stand here: a kernel is configured once, not per item"})
		}
	case []any:
		for i := range v {
			found = append(found, expressions(fmt.Sprintf("%s[%d]", path, i), v[i])...)
		}
	case map[string]any:
		for _, k := range slices.Sorted(maps.Keys(v)) {
			found = append(found, expressions(path+"."+k, v[k])...)
		}
	}
	return found
}

func (c Config) moduleProblems(ctx context.Context, at place) []problem {
	use := func(code, hint, message string) []problem {
		return []problem{{path: "use", code: code, hint: hint, message: message}}
	}
	wasm, err := at.module(ctx, c.Use)
	var failed *pipeline.Error
	switch {
	case errors.As(err, &failed):
		return use(failed.Code, failed.Hint, failed.Err.Error())
	case err != nil:
		return use(codeMissing, "", err.Error())
	}
	dialect, findings := host.Inspect(wasm, uint64(max(0, c.Limits.Memory)))
	var found []problem
	for _, f := range findings {
		found = append(found, use(f.Code, f.Hint, f.Message)...)
	}
	switch dialect {
	case module.Command:
		found = append(found, c.commandProblems()...)
	case module.Extism:
		found = append(found, c.extismProblems(wasm)...)
	}
	return append(found, c.manifestProblems(wasm)...)
}

func (c Config) commandProblems() []problem {
	var found []problem
	if _, _, err := c.command(); err != nil {
		found = append(found, problem{path: "with", code: "wrong-type", message: err.Error()})
	}
	if c.Batch > 1 {
		found = append(found, problem{path: "batch", code: "unsupported", hint: "leave it out", message: "a WASI command handles one item per instance"})
	}
	return found
}
