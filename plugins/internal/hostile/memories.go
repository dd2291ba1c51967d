package hostile

import w "github.com/waybill-dev/waybill/plugins/internal/wasmtest"

// memories are kernels that want all the memory: linear, of tables, of the host.
func memories() []Guest {
	const memory = "limits.memory: 16 MiB"
	grow := func(pages int32) [][]byte {
		return [][]byte{w.Const(pages), w.Grow(), w.Negative(), trapIf()}
	}
	table := func(attack ...[]byte) func() []byte {
		g := k1(attack...)
		g.Import = func(m *w.Module) { m.Table(1) }
		return g.Bytes
	}
	large := k1()
	large.Pages = 60_000
	item := []Guest{
		{Name: "memory bomb", Tries: "grows its memory page by page", WASM: k1(w.Repeat(grow(1)...)).Bytes, Code: codeMemory, Says: "needs more than 16777216 bytes of memory", Bound: memory},
		{Name: "memory bomb in one step", Tries: "grows its memory to 4 GiB at once", WASM: k1(grow(65_000)...).Bytes, Code: codeMemory, Says: "needs more than 16777216 bytes of memory", Bound: memory, Limits: plenty},
		{Name: "growing by nothing", Tries: "grows its memory by no page for ever", WASM: k1(w.Repeat(grow(0)...)).Bytes, Code: codeFuel, Says: "used up its fuel", Bound: "limits.fuel"},
		{Name: "growing in vain", Tries: "grows its memory beyond the limit for ever", WASM: k1(w.Repeat(w.Const(60_000), w.Grow(), w.Drop())).Bytes, Code: codeFuel, Says: "used up its fuel", Bound: "limits.fuel"},
		{Name: "table bomb", Tries: "grows its table to 64 million entries", Code: codeTrap, Says: "unreachable", Bound: "65,536 entries of a table", Limits: plenty,
			WASM: table(w.NoFunc(), w.Const(64<<20), w.GrowTable(), w.Negative(), trapIf())},
		{Name: "table bomb in small steps", Tries: "grows its table by 1,000 entries for ever", Code: codeFuel, Says: "used up its fuel", Bound: "65,536 entries of a table; limits.fuel",
			WASM: table(w.Repeat(w.NoFunc(), w.Const(1000), w.GrowTable(), w.Drop()))},
	}
	for i := range item {
		item[i].At = AtItem
	}
	return append([]Guest{
		{Name: "memory bomb from the start", Tries: "declares 3.7 GiB of memory", WASM: large.Bytes, At: AtCheck, Code: codeMemory, Says: "needs 3932160000 bytes of memory to start, the limit is 16777216", Bound: memory},
		{Name: "table bomb from the start", Tries: "declares a table of 100 million entries", At: AtCheck, Code: codeBad, Says: "table", Bound: "65,536 entries of a table",
			WASM: then(k1(), func(m *w.Module) { m.Table(100_000_000) }).Bytes},
	}, item...)
}
