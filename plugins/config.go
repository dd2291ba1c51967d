package plugins

import (
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/waybill-dev/waybill/pipeline"
	"github.com/waybill-dev/waybill/plugins/internal/host"
	"github.com/waybill-dev/waybill/plugins/internal/module"
	"github.com/waybill-dev/waybill/plugins/internal/oci"
)

// Config is the stage "kernel" in a pipeline file.
type Config struct {
	// The module: a file, relative to the pipeline file;
	// oci://registry/name:tag, pinned in waybill.lock;
	// oci://registry/name@sha256:... with the manifest's digest; or sha256:...
	// with the module's own, if it is stored here.
	Use string `yaml:"use"`
	// Configuration for the kernel, handed to it as JSON when it starts. For
	// a WASI command: args (a list of strings) and env (a map of strings). For
	// an Extism plug-in: function (the export to call) and config (a map of
	// strings).
	With map[string]any `yaml:"with,optional"`
	// What the kernel reads: body, or the name of an artifact.
	Input string `yaml:"input,optional"`
	// Name of the artifact that takes the result; without it the result
	// replaces the body.
	As string `yaml:"as,optional"`
	// Items per call, at most. More than 1 pays for kernels that take less
	// than some microseconds; others lose parallelism.
	Batch int `yaml:"batch,optional"`
	// Keep instances as they are between calls instead of putting them back to
	// the state after their start, which takes some microseconds. The kernel's
	// manifest must promise that nothing can be noticed of it.
	Reuse bool `yaml:"reuse,optional"`
	// What one instance may use.
	Limits Limits `yaml:"limits,optional"`
	// Capabilities beyond the input; none if it is left out.
	Grant []Grant `yaml:"grant,optional"`
}

// Limits bound one instance of a kernel.
type Limits struct {
	// Linear memory.
	Memory pipeline.Bytes `yaml:"memory,optional"`
	// Wall time of one call.
	Timeout pipeline.Duration `yaml:"timeout,optional"`
	// Size of one answer.
	Output pipeline.Bytes `yaml:"output,optional"`
	// Size of the log messages of one call; each counts 64 bytes besides its text.
	Log pipeline.Bytes `yaml:"log,optional"`
	// Metered work of one call; a unit is about one instruction. Unlike the
	// wall time it is the same on every machine. 0: only the timeout and the
	// item's budget bound it.
	Fuel pipeline.Count `yaml:"fuel,optional"`
}

// Bounds of what a configuration may ask for.
const (
	maxMemory = 4<<30 - module.PageSize // what a 32-bit pointer and length reach
	maxOutput = 1 << 30
	maxBatch  = 4096
)

// inputBody is the Input that means the body.
const inputBody = "body"

// Defaults returns the configuration of a stage that says nothing but `use`.
func Defaults() Config {
	return Config{
		Input: inputBody,
		Batch: 1,
		Limits: Limits{
			Memory:  64 << 20,
			Timeout: pipeline.Duration(10 * time.Second),
			Output:  16 << 20,
			Log:     64 << 10,
		},
	}
}

// name is how messages and receipts call the kernel.
func (c Config) name() string {
	if ref, err := oci.Parse(c.Use); err == nil {
		return ref.Name()
	}
	if digest, err := pipeline.ParseDigest(c.Use); err == nil {
		return digest.Short()
	}
	return strings.TrimSuffix(filepath.Base(c.Use), ".wasm")
}

// read returns the module's bytes; a file larger than any module is not read.
func read(path string) ([]byte, error) {
	info, err := os.Stat(path)
	if err != nil {
		return nil, err
	}
	if !info.Mode().IsRegular() {
		return nil, fmt.Errorf("%s is not a file", path)
	}
	if info.Size() > module.MaxSize {
		return nil, pipeline.Fail(host.CodeBad, "%s has %d bytes, the limit is %d", path, info.Size(), module.MaxSize)
	}
	return os.ReadFile(path)
}

// limits returns the host's form; Validate has seen to it that they are sane.
func (l Limits) limits() host.Limits {
	return host.Limits{Memory: uint64(l.Memory), Timeout: l.Timeout.D(), Fuel: int64(l.Fuel), Output: uint64(l.Output), Log: int(l.Log)}
}

// json is the configuration as the kernel gets it.
func (c Config) json() ([]byte, error) {
	if c.With == nil {
		return []byte("{}"), nil
	}
	b := pipeline.JSONBody(c.With)
	return b.Bytes()
}

// command reads `with` for a WASI command. It allows args and env only.
func (c Config) command() (args, env []string, err error) {
	for _, key := range slices.Sorted(maps.Keys(c.With)) {
		switch v := c.With[key].(type) {
		case []any:
			if key != "args" {
				return nil, nil, fmt.Errorf("with.%s: a WASI command takes args and env only", key)
			}
			for i, a := range v {
				s, ok := a.(string)
				if !ok {
					return nil, nil, fmt.Errorf("with.args[%d] is not a string", i)
				}
				args = append(args, s)
			}
		case map[string]any:
			if key != "env" {
				return nil, nil, fmt.Errorf("with.%s: a WASI command takes args and env only", key)
			}
			for _, name := range slices.Sorted(maps.Keys(v)) {
				s, ok := v[name].(string)
				if !ok {
					return nil, nil, fmt.Errorf("with.env.%s is not a string", name)
				}
				env = append(env, name+"="+s)
			}
		default:
			return nil, nil, fmt.Errorf("with.%s: a WASI command takes args (a list of strings) and env (a map of strings) only", key)
		}
	}
	return args, env, nil
}
