package module_test

import (
	"strings"
	"testing"

	"github.com/waybill-dev/waybill/plugins/internal/module"
	w "github.com/waybill-dev/waybill/plugins/internal/wasmtest"
)

func parse(t *testing.T, wasm []byte) *module.Module {
	t.Helper()
	m, err := module.Parse(wasm)
	if err != nil {
		t.Fatal(err)
	}
	return m
}

func TestExtismFunction(t *testing.T) {
	i32 := []byte{w.I32}
	tests := []struct {
		exports string // names; "name!" takes a parameter
		name    string
		want    string
		err     string
	}{
		{"run", "", "run", ""},
		{"_start run asyncify_stop_unwind malloc! _initialize __wasm_call_ctors", "", "run", ""},
		{"_start", "", "_start", ""},
		{"_start run", "_start", "_start", ""},
		{"a b", "", "", "exports several functions: a, b"},
		{"a b", "b", "b", ""},
		{"a b", "c", "", "no export c without parameters and with at most one result; there are: a, b"},
		{"a!", "a", "", "there are: none"},
		{"a! _initialize", "", "", "no function that can be called"},
	}
	for _, tt := range tests {
		m := new(w.Module)
		for name := range strings.FieldsSeq(tt.exports) {
			if bare, ok := strings.CutSuffix(name, "!"); ok {
				m.Func(bare, i32, nil, 0)
			} else {
				m.Func(name, nil, nil, 0)
			}
		}
		got, err := parse(t, m.Bytes()).ExtismFunction(tt.name)
		if got != tt.want || (err == nil) != (tt.err == "") || err != nil && !strings.Contains(err.Error(), tt.err) {
			t.Errorf("%s, %q: %q %v", tt.exports, tt.name, got, err)
		}
	}
}

func TestExtismImportsAreChecked(t *testing.T) {
	m := new(w.Module)
	m.Import(module.ImportExtism, "alloc", []byte{w.I64}, []byte{w.I64})
	m.Import(module.ImportExtism, "length", []byte{w.I32}, []byte{w.I64})
	m.Import(module.ImportExtism, "reset", nil, nil)
	m.Import("extism:host/user", "mine", nil, nil)
	m.Memory(1)
	p := parse(t, m.Bytes())
	if p.Dialect() != module.Extism || p.WantsHTTP() {
		t.Errorf("dialect %s, wants http: %t", p.Dialect(), p.WantsHTTP())
	}
	got := strings.Join(p.Check(module.Extism, nil), "\n")
	for _, want := range []string{"length has signature (i32) -> i64", "env.reset: the host has no such function", `no module "extism:host/user"`} {
		if !strings.Contains(got, want) {
			t.Errorf("%q is not in\n%s", want, got)
		}
	}
	if strings.Contains(got, "alloc") {
		t.Error(got)
	}
}

func TestRenameImports(t *testing.T) {
	m := new(w.Module)
	m.Import("a", "f", []byte{w.I32}, nil)
	g := m.Import("b", "g", nil, []byte{w.I64})
	m.Func("run", nil, []byte{w.I64}, 0, w.Call(g))
	before := m.Bytes()
	after, err := module.RenameImports(before, map[string]string{"a": strings.Repeat("long", 50), "c": "d"})
	if err != nil {
		t.Fatal(err)
	}
	p := parse(t, after)
	if len(p.Imports) != 2 || p.Imports[0].Module != strings.Repeat("long", 50) || p.Imports[0].Name != "f" || p.Imports[0].Sig != "(i32)" || p.Imports[1].Module != "b" {
		t.Errorf("%+v", p.Imports)
	}
	if e := p.Export("run"); e == nil || e.Sig != "() -> i64" {
		t.Errorf("%+v", e)
	}
	same, err := module.RenameImports(before, nil)
	if err != nil || string(same) != string(before) {
		t.Errorf("%v\n%x\n%x", err, same, before)
	}
	for cut := range len(before) - 1 { // a module that ends too early is an error or whole sections
		if out, err := module.RenameImports(before[:cut], nil); err == nil && string(out) != string(before[:cut]) {
			t.Errorf("cut at %d: %x", cut, out)
		}
	}
}
