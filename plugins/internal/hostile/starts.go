package hostile

import w "github.com/waybill-dev/waybill/plugins/internal/wasmtest"

// starts are kernels that attack before their first item.
func starts() []Guest {
	const startFuel = "1,000,000,000 units for the start of an instance"
	// Growing in vain uses up fuel fastest: it costs by what was asked for.
	burn := w.Repeat(w.Const(60_000), w.Grow(), w.Drop())
	start := func(body []byte) func() []byte {
		return then(k1(), func(m *w.Module) { m.Start(m.Func("", nil, nil, 0, body)) }).Bytes
	}
	lying := func(room ...[]byte) func() []byte {
		g := k1()
		g.Room = room
		return g.Bytes
	}
	init := func(body ...[]byte) w.Guest {
		g := k1()
		g.Init = body
		return g
	}
	features := k1()
	features.ABI = 1 << 40
	all := []Guest{
		{Name: "start section that loops", Tries: "never comes back from its start section", WASM: start(burn), Code: codeFuel, Says: "used up its fuel", Bound: startFuel},
		{Name: "start section that traps", Tries: "traps in its start section", WASM: start(w.Unreachable()), Code: codeTrap, Says: "unreachable", Bound: "the instance is thrown away"},
		{Name: "_initialize that loops", Tries: "never comes back from _initialize", Code: codeFuel, Says: "used up its fuel", Bound: startFuel,
			WASM: then(k1(), func(m *w.Module) { m.Func("_initialize", nil, nil, 0, burn) }).Bytes},
		{Name: "k1_init that loops", Tries: "never comes back from k1_init", WASM: init(burn, w.Const64(0)).Bytes, Code: codeFuel, Says: "used up its fuel", Bound: startFuel},
		{Name: "k1_init that refuses", Tries: "refuses its configuration", WASM: init(w.Const64(-2)).Bytes, Code: "kernel-init", Says: "refused its configuration (code -2)", Bound: "the stage does not start"},
		{Name: "k1_init that exits", Tries: "ends the process while it is configured", Code: "kernel-exit", Says: "exited with code 0", Bound: "proc_exit ends the instance only",
			WASM: imports(init(w.Const(0), w.Call(0), w.Const64(0)), wasi, "proc_exit", i32s(1), nil).Bytes},
		{Name: "unknown features", Tries: "wants features of the ABI that nobody has", WASM: features.Bytes, Code: "kernel-exports", Says: "wants features 0x10000000000", Bound: "feature bits are negotiated"},
		{Name: "no input buffer", Tries: "answers null for its input buffer", WASM: lying(w.Const(0)), Code: codeMemory, Says: "has no room for", Bound: "the answer is checked"},
		{Name: "unaligned input buffer", Tries: "answers 1025 for its input buffer", WASM: lying(w.Const(1025)), Code: codeFrame, Says: "not a multiple of 16", Bound: "the answer is checked"},
		{Name: "input buffer outside", Tries: "answers the last 16 bytes of 4 GiB for its input buffer", WASM: lying(w.Const(-16)), Code: codeFrame, Says: "k1_buffer answered 4294967280", Bound: "the answer is checked, in uint64"},
		{Name: "data outside", Tries: "has a data segment behind its memory", Code: codeTrap, Says: "out of bounds", Bound: "checked by the engine",
			WASM: then(k1(), func(m *w.Module) { m.Data(1<<30, []byte("x")) }).Bytes},
	}
	for i := range all {
		all[i].At = AtStart
	}
	return all
}
