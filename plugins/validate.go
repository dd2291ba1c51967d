package plugins

import (
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"slices"
	"strings"

	"github.com/waybill-dev/waybill/pipeline"
	"github.com/waybill-dev/waybill/plugins/internal/host"
	"github.com/waybill-dev/waybill/plugins/internal/module"
)

// codeMissing: the module cannot be read. The other codes are host.Code...
const codeMissing = "kernel-missing"

// problem is one finding with the field that it is about.
type problem struct{ path, code, hint, message string }

// Validate reports what would keep the kernel from running: bad limits, unknown
// grants, a missing file, a module that does not fit. The module is read and
// metered, not compiled.
func (c Config) Validate(v *pipeline.Validation) {
	for _, p := range c.problems(v.Dir) {
		v.Problem(p.path, p.code, p.hint, "%s", p.message)
	}
}

func (c Config) problems(dir string) []problem {
	found := c.Limits.problems()
	if c.Batch < 1 || c.Batch > maxBatch {
		found = append(found, problem{"batch", "out-of-range", "", fmt.Sprintf("must be 1 to %d, is %d", maxBatch, c.Batch)})
	}
	for i, g := range c.Grant {
		found = append(found, problem{fmt.Sprintf("grant[%d]", i), "unknown-grant", "leave the list empty",
			fmt.Sprintf("%q cannot be granted: kernels reach nothing but their input", g)})
	}
	found = append(found, expressions("with", c.With)...)
	return append(found, c.moduleProblems(dir)...)
}

func (l Limits) problems() []problem {
	var found []problem
	check := func(path string, good bool, want string) {
		if !good {
			found = append(found, problem{"limits." + path, "out-of-range", "", "must be " + want})
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
			found = append(found, problem{path, "expression", "let a transform put the value into the body",
				"expressions cannot stand here: a kernel is configured once, not per item"})
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

func (c Config) moduleProblems(dir string) []problem {
	use := func(code, hint, message string) []problem { return []problem{{"use", code, hint, message}} }
	path, err := c.path(dir)
	if err != nil {
		return use("unsupported", "", err.Error())
	}
	wasm, err := read(path)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return use(codeMissing, "build the kernel first, or correct the path, which is relative to the pipeline file", "no kernel at "+path)
	case err != nil:
		return use(codeMissing, "", err.Error())
	}
	dialect, findings := host.Inspect(wasm, uint64(max(0, c.Limits.Memory)))
	var found []problem
	for _, f := range findings {
		found = append(found, use(f.Code, f.Hint, f.Message)...)
	}
	if dialect == module.Command {
		found = append(found, c.commandProblems()...)
	}
	return found
}

func (c Config) commandProblems() []problem {
	var found []problem
	if _, _, err := c.command(); err != nil {
		found = append(found, problem{"with", "wrong-type", "", err.Error()})
	}
	if c.Batch > 1 {
		found = append(found, problem{"batch", "unsupported", "leave it out", "a WASI command handles one item per instance"})
	}
	return found
}
