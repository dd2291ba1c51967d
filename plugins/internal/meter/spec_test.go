package meter_test

import (
	"context"
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/tetratelabs/wazero"
	"github.com/tetratelabs/wazero/api"

	"github.com/waybill-dev/waybill/plugins/internal/meter"
)

// wide lets pass what the specification's tests need and no kernel does.
func wide() meter.Caps {
	return meter.Caps{Size: 64 << 20, Functions: 1 << 20, Body: 8 << 20, Nesting: 1 << 20, BrTable: 1 << 20, Control: 1 << 20,
		Locals: 1 << 16, Tables: 1 << 10, TableEntries: 1 << 27}
}

// spectests is the folder with the WebAssembly specification's test suite, which
// ships inside the wazero module.
func spectests(tb testing.TB) string {
	tb.Helper()
	out, err := exec.Command("go", "list", "-m", "-f", "{{.Dir}}", "github.com/tetratelabs/wazero").Output()
	if err != nil {
		tb.Fatal(err)
	}
	return filepath.Join(strings.TrimSpace(string(out)), "internal", "integration_test", "spectest")
}

// command is one step of a test as wast2json writes it.
type command struct {
	Type, Filename, Name, As string
	Line                     int
	ModuleType               string `json:"module_type"`
	Action                   struct {
		Type, Field, Module string
		Args                []value
	}
	Expected []value
}

// value is an argument or result; the value of a vector is a list of lanes.
type value struct {
	Type  string
	Lane  string `json:"lane_type"`
	Value any
}

// bits returns the value as wazero takes it, and whether it is one exact value.
func (v value) bits() (out []uint64, exact bool) {
	lanes, ok := v.Value.([]any)
	if !ok {
		text, _ := v.Value.(string)
		n, exact := number(text)
		if v.Type == "externref" && text != "null" {
			n++ // 0 is the null reference
		}
		return []uint64{n}, exact
	}
	out, exact = make([]uint64, 2), true
	width := 128 / len(lanes)
	for i, lane := range lanes {
		n, good := number(lane.(string))
		out[i*width/64] |= n << (i * width % 64)
		exact = exact && good
	}
	return out, exact
}

func number(text string) (uint64, bool) {
	n, err := strconv.ParseUint(text, 10, 64)
	return n, err == nil || text == "null"
}

// world is one runtime with the modules of a test.
type world struct {
	meter   bool
	runtime wazero.Runtime
	last    api.Module
	named   map[string]api.Module
	spent   int64
}

const slice = 1000

func newWorld(tb testing.TB, metered bool, spectest []byte) *world {
	ctx := context.Background()
	w := &world{meter: metered, named: make(map[string]api.Module), runtime: wazero.NewRuntimeWithConfig(ctx, wazero.NewRuntimeConfigCompiler())}
	tb.Cleanup(func() { _ = w.runtime.Close(ctx) })
	yield := api.GoFunc(func(_ context.Context, stack []uint64) {
		w.spent -= int64(stack[0]) - slice
		stack[0] = slice
	})
	_, err := w.runtime.NewHostModuleBuilder(meter.ImportModule).NewFunctionBuilder().
		WithGoFunction(yield, []api.ValueType{api.ValueTypeI64}, []api.ValueType{api.ValueTypeI64}).Export(meter.ImportYield).Instantiate(ctx)
	if err != nil {
		tb.Fatal(err)
	}
	if spectest != nil {
		if _, err := w.instantiate(spectest, "spectest"); err != nil {
			tb.Fatal(err)
		}
	}
	return w
}

func (w *world) instantiate(wasm []byte, as string) (api.Module, error) {
	if w.meter {
		out, err := meter.Rewrite(wasm, wide())
		if err != nil {
			return nil, err
		}
		wasm = out.WASM
	}
	return w.runtime.InstantiateWithConfig(context.Background(), wasm, wazero.NewModuleConfig().WithName(as).WithStartFunctions())
}

// do performs an action and returns what came of it, as text.
func (w *world) do(c command) (outcome string, results []uint64) {
	m := w.last
	if c.Action.Module != "" {
		m = w.named[c.Action.Module]
	}
	if c.Action.Type == "get" {
		g := m.ExportedGlobal(c.Action.Field)
		return "returned", []uint64{g.Get()}
	}
	var args []uint64
	for _, a := range c.Action.Args {
		bits, _ := a.bits()
		args = append(args, bits...)
	}
	f := m.ExportedFunction(c.Action.Field)
	results, err := f.Call(context.Background(), args...)
	if err != nil {
		return firstLine(err), nil
	}
	return "returned", mask(results, f.Definition().ResultTypes())
}

func firstLine(err error) string { line, _, _ := strings.Cut(err.Error(), "\n"); return line }

// mask clears what is not part of a value, and references, which are addresses.
func mask(results []uint64, types []api.ValueType) []uint64 {
	at := 0
	for _, t := range types {
		if at >= len(results) {
			break // it trapped
		}
		switch t {
		case api.ValueTypeI32, api.ValueTypeF32:
			results[at] &= 1<<32 - 1
		case 0x70: // funcref
			results[at] = min(1, results[at])
		case 0x7b: // v128
			at++
		}
		at++
	}
	return results
}

// TestSpecification runs the specification's tests twice, plain and metered,
// side by side: every action has the same outcome and every module that may not
// load is refused either way.
func TestSpecification(t *testing.T) {
	root := spectests(t)
	spectest, err := os.ReadFile(filepath.Join(root, "testdata", "spectest.wasm"))
	if err != nil {
		t.Fatal(err)
	}
	var files []string
	for _, version := range []string{"v1", "v2"} {
		found, err := filepath.Glob(filepath.Join(root, version, "testdata", "*.json"))
		if err != nil || len(found) < 50 {
			t.Fatalf("%s: %d tests, %v", version, len(found), err)
		}
		files = append(files, found...)
	}
	total := make(map[string]int)
	for _, file := range files {
		name := filepath.Base(filepath.Dir(filepath.Dir(file))) + "/" + strings.TrimSuffix(filepath.Base(file), ".json")
		t.Run(name, func(t *testing.T) {
			s := &specRun{t: t, dir: filepath.Dir(file), count: total, expect: strings.HasPrefix(name, "v2/"),
				plain: newWorld(t, false, spectest), metered: newWorld(t, true, spectest)}
			s.run(file)
		})
	}
	t.Logf("%v", total)
	if total["action"] < 40_000 || total["module"] < 1000 || total["refused"] < 1500 {
		t.Errorf("the suite is not whole: %v", total)
	}
}

// specRun is one file of the suite.
type specRun struct {
	t              *testing.T
	dir            string
	count          map[string]int
	expect         bool // compare with the suite too: version 1's expects rules that 2.0 changed
	plain, metered *world
}

func (s *specRun) run(file string) {
	raw, err := os.ReadFile(file)
	if err != nil {
		s.t.Fatal(err)
	}
	var script struct{ Commands []command }
	if err := json.Unmarshal(raw, &script); err != nil {
		s.t.Fatal(err)
	}
	for i, c := range script.Commands {
		as := ""
		if next := i + 1; next < len(script.Commands) && script.Commands[next].Type == "register" {
			as = script.Commands[next].As
		}
		s.command(c, as)
		if s.t.Failed() {
			s.t.Fatalf("line %d: %s %s%s", c.Line, c.Type, c.Filename, c.Action.Field)
		}
	}
}

func (s *specRun) command(c command, as string) {
	switch c.Type {
	case "register": // done with its module
	case "module":
		s.count["module"]++
		s.load(c, as)
	case "assert_uninstantiable", "assert_unlinkable":
		s.count["uninstantiable"]++
		s.unusable(c)
	case "assert_invalid", "assert_malformed":
		if c.ModuleType == "text" {
			s.count["skipped: text format"]++
			return
		}
		s.count["refused"]++
		s.refused(c)
	case "assert_return", "action", "assert_trap", "assert_exhaustion":
		s.count["action"]++
		s.action(c)
	default:
		s.t.Errorf("unknown command %s", c.Type)
	}
}

func (s *specRun) read(c command) []byte {
	wasm, err := os.ReadFile(filepath.Join(s.dir, c.Filename))
	if err != nil {
		s.t.Fatal(err)
	}
	return wasm
}

func (s *specRun) load(c command, as string) {
	wasm := s.read(c)
	for _, w := range []*world{s.plain, s.metered} {
		m, err := w.instantiate(wasm, as)
		if err != nil {
			s.t.Fatalf("metered %t: %v", w.meter, err)
		}
		w.last = m
		if c.Name != "" {
			w.named[c.Name] = m
		}
	}
}

// differs is what metering changes in messages: the index of a start function,
// the maximum of a table.
var differs = regexp.MustCompile(`function\[\d+\]|size mismatch: .*`)

// unusable: a module that cannot be instantiated leaves the same traces. wazero
// is more lenient than the specification in some cases; then both pass.
func (s *specRun) unusable(c command) {
	wasm := s.read(c)
	text := func(w *world) string {
		if _, err := w.instantiate(wasm, ""); err != nil {
			return differs.ReplaceAllString(firstLine(err), "")
		}
		return ""
	}
	if plain, metered := text(s.plain), text(s.metered); plain != metered {
		s.t.Errorf("plain %q, metered %q", plain, metered)
	}
}

// refused: metering does not make a module valid.
func (s *specRun) refused(c command) {
	wasm, ctx := s.read(c), context.Background()
	_, plain := s.plain.runtime.CompileModule(ctx, wasm)
	out, err := meter.Rewrite(wasm, wide())
	if plain == nil || err != nil {
		return // the compiler has newer features than the test
	}
	if _, err := s.metered.runtime.CompileModule(ctx, out.WASM); err == nil {
		s.t.Errorf("the compiler refuses it (%v), but not metered", plain)
	}
}

func (s *specRun) action(c command) {
	plain, want := s.plain.do(c)
	metered, got := s.metered.do(c)
	if plain != metered {
		s.t.Errorf("plain %q, metered %q", plain, metered)
	}
	if d := cmp.Diff(want, got); d != "" {
		s.t.Errorf("results: %s", d)
	}
	if !s.expect {
		return
	}
	if returns := c.Type == "assert_return" || c.Type == "action"; returns != (metered == "returned") {
		s.t.Errorf("got %q", metered)
	}
	var at int
	for _, e := range c.Expected {
		bits, exact := e.bits()
		if c.Type == "assert_return" && exact && e.Type != "funcref" && fmt.Sprint(got[at:at+len(bits)]) != fmt.Sprint(bits) {
			s.t.Errorf("got %v, want %v", got[at:], bits)
		}
		at += len(bits)
	}
}
