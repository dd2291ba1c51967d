package host

import (
	"bytes"
	"cmp"
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	extism "github.com/extism/go-sdk"
	"github.com/tetratelabs/wazero"
)

type shippedPlugin struct {
	file, function string
	config         map[string]string
	input          string
	want, contains string
}

// shipped is what the plug-ins inside Extism's Go module do here. "same" is the
// same output as with the SDK alone; "error" is an error of the same text that
// the plug-in reported itself; all else is the code of our failure, with what
// its message has to contain.
var shipped = []shippedPlugin{
	{file: "alloc.wasm", want: "same"},
	{file: "config.wasm", want: "same", contains: "<unset by host>"},
	{file: "config.wasm", config: map[string]string{"thing": "hello"}, want: "same", contains: `{"config": "hello"}`},
	{file: "count_vowels.wasm", input: "hello world", want: "same", contains: `"count":3`},
	{file: "count_vowels_std.wasm", input: "hello world", want: "same", contains: `"count": 3`},
	{file: "exit.wasm", config: map[string]string{"code": "0"}, want: "same"},
	{file: "exit.wasm", config: map[string]string{"code": "500"}, want: CodeExit, contains: "exited with code 500"},
	{file: "fail.wasm", want: "error", contains: "Some error message"},
	{file: "fs.wasm", want: CodeError, contains: "failed with code 1"},
	{file: "fs_std.wasm", want: CodeError, contains: "failed with code 1"},
	{file: "hello.wasm", want: "same", contains: "Hello, world!"},
	{file: "hello_haskell.wasm", input: "John", want: "same", contains: "Hello, John"},
	{file: "host.wasm", want: CodeExports, contains: `the host has no module "extism:host/user"`},
	{file: "host_memory.wasm", want: CodeExports, contains: `the host has no module "host"`},
	{file: "host_multiple.wasm", function: "say_green", want: CodeExports, contains: "hostGreenMessage"},
	{file: "http.wasm", want: CodeExports, contains: "http is not granted"},
	{file: "http_headers.wasm", want: CodeExports, contains: "http is not granted"},
	{file: "input_offset.wasm", input: "some input", want: "same"},
	{file: "lib.wasm", want: "same"}, // a library: only its _start can be called,
	{file: "log.wasm", want: "same"},
	{file: "main.wasm", want: CodeExports, contains: `the host has no module "lib"`},
	{file: "nested.c.instr.wasm", want: CodeExports, contains: "dylibso_observe"},
	{file: "noop.wasm", function: "_start", want: "same"}, // it imports nothing of Extism's: a WASI command
	{file: "println.wasm", input: "hello", want: "same"},
	{file: "read_write.wasm", want: CodeExports, contains: "several functions: try_read, try_write"},
	{file: "read_write.wasm", function: "try_read", want: "error"},
	{file: "read_write.wasm", function: "try_write", input: "hello", want: "error"},
	{file: "replace.wasm", input: "hello world", want: "same"},
	{file: "sleep.wasm", config: map[string]string{"duration": "0"}, want: "same", contains: "slept for 0 seconds"},
	{file: "std_command.wasm", input: "ben", want: "same", contains: "ben"},
	{file: "var.wasm", want: "same"},
}

// shippedDir is the folder of the plug-ins.
func shippedDir(t *testing.T) string {
	t.Helper()
	out, err := exec.Command("go", "list", "-m", "-f", "{{.Dir}}", "github.com/extism/go-sdk").Output()
	if err != nil {
		t.Fatal(err)
	}
	return filepath.Join(strings.TrimSpace(string(out)), "wasm")
}

// alone calls a plug-in as it is, with the SDK and nothing of ours, in the
// interpreter: that saves compiling it again.
func alone(t *testing.T, wasm []byte, function string, config map[string]string, input []byte) ([]byte, error) {
	t.Helper()
	ctx := context.Background()
	p, err := extism.NewPlugin(ctx, extism.Manifest{Wasm: []extism.Wasm{extism.WasmData{Data: wasm}}, Config: config},
		extism.PluginConfig{RuntimeConfig: wazero.NewRuntimeConfigInterpreter(), EnableWasi: true}, nil)
	if err != nil {
		return nil, err
	}
	defer func() {
		if err := p.Close(ctx); err != nil {
			t.Error(err)
		}
	}()
	code, out, err := p.Call(function, input)
	if err == nil && code != 0 {
		err = fmt.Errorf("failed with code %d", code)
	}
	return out, err
}

func TestShippedPlugins(t *testing.T) {
	dir, cache := shippedDir(t), t.TempDir() // what stands in the table twice is compiled once
	seen := map[string]bool{}
	for _, s := range shipped {
		seen[s.file] = true
		t.Run(s.file+" "+s.function, func(t *testing.T) { s.test(t, dir, cache) })
	}
	all, err := filepath.Glob(filepath.Join(dir, "*.wasm"))
	if err != nil || len(all) < 25 {
		t.Fatalf("%d plug-ins in %s: %v", len(all), dir, err)
	}
	for _, path := range all {
		if !seen[filepath.Base(path)] {
			t.Errorf("%s is not in the table", filepath.Base(path))
		}
	}
}

// test runs the plug-in twice here and once alone.
func (s shippedPlugin) test(t *testing.T, dir, cache string) {
	wasm, err := os.ReadFile(filepath.Join(dir, s.file))
	if err != nil {
		t.Fatal(err)
	}
	o := options(wasm)
	o.Limits = Limits{Memory: 64 << 20, Timeout: time.Minute, Output: 1 << 20, Log: 4 << 10}
	o.Extism, o.CacheDir = Extism{s.function, s.config}, filepath.Join(cache, "kernels")
	k, err := New(t.Context(), o)
	if err != nil {
		check(t, s.want, s.contains, err)
		return
	}
	defer func() {
		if err := k.Close(context.Background()); err != nil {
			t.Error(err)
		}
	}()
	got, err := k.RunItem(t.Context(), []byte(s.input), 0, 1, nil)
	again, err2 := k.RunItem(t.Context(), []byte(s.input), 0, 1, nil)
	if got.Fuel == 0 || got.Fuel != again.Fuel || !bytes.Equal(got.Output, again.Output) || (err == nil) != (err2 == nil) {
		t.Errorf("two instances differ: %q %d %v, %q %d %v", got.Output, got.Fuel, err, again.Output, again.Fuel, err2)
	}
	want, wantErr := alone(t, wasm, cmp.Or(k.Extism.Function, s.function), s.config, []byte(s.input))
	s.compare(t, got.Output, err, want, wantErr)
}

func (s shippedPlugin) compare(t *testing.T, got []byte, err error, want []byte, wantErr error) {
	switch s.want {
	case "same":
		if err != nil || wantErr != nil || !bytes.Equal(got, want) || !strings.Contains(string(want), s.contains) {
			t.Errorf("got %q %v\nwant %q %v", got, err, want, wantErr)
		}
	case "error":
		f := failure(t, err, CodeError)
		if wantErr == nil || f.Message != wantErr.Error() || !strings.Contains(f.Message, s.contains) {
			t.Errorf("got %q, want %v", f.Message, wantErr)
		}
	default:
		if wantErr == nil {
			t.Errorf("the SDK alone answers %q", want)
		}
		check(t, s.want, s.contains, err)
	}
}

func check(t *testing.T, code, contains string, err error) {
	t.Helper()
	if f := failure(t, err, code); !strings.Contains(f.Error(), contains) {
		t.Errorf("got %v, want %q in it", f, contains)
	}
}
