package hostile

import (
	"github.com/waybill-dev/waybill/plugins/internal/meter"
	w "github.com/waybill-dev/waybill/plugins/internal/wasmtest"
)

// links are modules whose imports and exports do not fit.
func links() []Guest {
	const code = "kernel-exports"
	all := []Guest{
		{Name: "missing export", Tries: "has no k1_run", WASM: without("k1_run"), Says: "no export k1_run (i32, i32) -> i64"},
		{Name: "no exports", Tries: "exports nothing", WASM: func() []byte { return new(w.Module).Bytes() }, Says: "neither a k1 kernel"},
		{Name: "mistyped export", Tries: "has a k1_flush that takes an i64", Says: "export k1_flush has signature (i64), want (i32) -> i64",
			WASM: func() []byte {
				return then(k1(), func(m *w.Module) { m.Func("k1_flush", []byte{w.I64}, nil, 0) }).Bytes()
			}},
		{Name: "memory as function", Tries: "exports its memory as _initialize", Says: "export _initialize is a memory, want a function",
			WASM: func() []byte {
				return then(k1(), func(m *w.Module) { m.ExportMemoryAs("_initialize") }).Bytes()
			}},
		{Name: "unknown import", Tries: "imports kernel/1.exec", Says: "import kernel/1.exec: the host has no such function",
			WASM: imports(k1(), "kernel/1", "exec", i32s(2), nil).Bytes},
		{Name: "unknown module", Tries: "imports env.system", Says: `the host has no module "env"`,
			WASM: imports(k1(), "env", "system", i32s(1), i32s(1)).Bytes},
		{Name: "mistyped import", Tries: "imports fd_write with five parameters", Says: "has signature (i32, i32, i32, i32, i32) -> i32, the host has",
			WASM: imports(k1(), "wasi_snapshot_preview1", "fd_write", i32s(5), i32s(1)).Bytes},
		{Name: "the host's own imports", Tries: "imports what the meter adds, to fill its tank", Says: `the host has no module "waybill:meter"`,
			WASM: imports(k1(), meter.ImportModule, meter.ImportYield, []byte{w.I64}, []byte{w.I64}).Bytes},
	}
	for i := range all {
		all[i].At, all[i].Code, all[i].Bound = AtCheck, code, "imports and exports are compared before anything runs"
	}
	for _, g := range []struct{ name, what string }{
		{"http", "fetch a URL"}, {"blob", "read the object store"}, {"secret", "read a secret"}, {"state_get", "keep state"},
	} {
		all = append(all, Guest{Name: g.name + " without a grant", Tries: "imports " + g.name + " to " + g.what, At: AtCheck, Code: "missing-grant",
			Bound: "nothing is granted by default", Says: g.name, WASM: imports(k1(), "kernel/1", g.name, i32s(4), []byte{w.I64}).Bytes})
	}
	return append(all, Guest{Name: "reserved export", Tries: "exports a function under the name of the meter's fuel counter", At: AtCheck, Code: codeBad,
		Bound: "names of the meter are reserved", Says: meter.ExportFuel, WASM: func() []byte {
			return then(k1(), func(m *w.Module) { m.Func(meter.ExportFuel, nil, nil, 0) }).Bytes()
		}})
}

// without is a kernel that has one export less.
func without(name string) func() []byte {
	return func() []byte {
		m := new(w.Module)
		m.Memory(1)
		for _, f := range []struct {
			name            string
			params, results []byte
			body            []byte
		}{
			{"k1_abi", nil, []byte{w.I64}, w.Const64(0)},
			{"k1_buffer", i32s(1), i32s(1), w.Const(w.AnswerAt)},
			{"k1_init", i32s(2), []byte{w.I64}, w.Const64(0)},
			{"k1_run", i32s(2), []byte{w.I64}, w.Const64(0)},
		} {
			if f.name != name {
				m.Func(f.name, f.params, f.results, 0, f.body)
			}
		}
		return m.Bytes()
	}
}
