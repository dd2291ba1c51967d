package hostile

import (
	"bytes"

	w "github.com/waybill-dev/waybill/plugins/internal/wasmtest"
)

// shapes are compile bombs: modules whose compiling would take seconds to
// minutes, or gigabytes.
func shapes() []Guest {
	withBody := func(locals uint32, body ...[]byte) func() []byte {
		return func() []byte {
			return then(k1(), func(m *w.Module) { m.Func("", nil, nil, locals, body...) }).Bytes()
		}
	}
	all := []Guest{
		{Name: "nested blocks", Tries: "nests 30,000 blocks", WASM: withBody(0, w.Nested(30_000)), Says: "nest", Bound: "4,096 blocks inside each other"},
		{Name: "branch table", Tries: "has a br_table of 100,000 entries", WASM: withBody(0, w.BranchTable(100_000)), Says: "br_table", Bound: "8,192 entries of a br_table"},
		{Name: "conditions", Tries: "has 10,000 conditions in one function", WASM: withBody(0, bytes.Repeat(append(w.Const(0), w.If()...), 10_000)), Says: "10000 blocks and branches, the limit is 8192", Bound: "8,192 control operations of a function"},
		{Name: "long function", Tries: "has a function of 1 MB of straight-line code", WASM: withBody(0, bytes.Repeat([]byte{0x41, 0x00, 0x1a}, 350_000)), Says: "bytes", Bound: "256 KiB of a function"},
		{Name: "locals", Tries: "declares 4 billion locals in six bytes", WASM: withBody(0xffffffff), Says: "locals", Bound: "1,024 locals of a function"},
		{Name: "functions", Tries: "has 60,000 functions", WASM: manyFunctions, Says: "50000", Bound: "50,000 functions, types, exports"},
	}
	for i := range all {
		all[i].At, all[i].Code = AtCheck, codeBad
	}
	return all
}

func manyFunctions() []byte {
	return then(k1(), func(m *w.Module) {
		for range 60_000 {
			m.Func("", nil, nil, 0)
		}
	}).Bytes()
}
