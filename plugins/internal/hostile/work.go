package hostile

import (
	"time"

	w "github.com/waybill-dev/waybill/plugins/internal/wasmtest"
)

// Codes in which most guests end.
const (
	codeFuel   = "kernel-fuel"
	codeTrap   = "kernel-trap"
	codeMemory = "kernel-memory"
	codeFrame  = "kernel-bad-frame"
)

const wasi = "wasi_snapshot_preview1"

// work are kernels that want all the time, or all the stack.
func work() []Guest {
	const (
		fuel  = "limits.fuel: 2,000,000 units"
		spent = "used up its fuel, 2000000 units"
		stack = "the engine's stack limit; the instance is thrown away"
	)
	all := []Guest{
		{Name: "endless loop", Tries: "loops for ever", WASM: k1(w.Forever()).Bytes, Code: codeFuel, Says: spent, Bound: fuel},
		{Name: "endless loop, unmetered", Tries: "loops for ever where no fuel limit is set", WASM: k1(w.Forever()).Bytes, Code: "kernel-timeout", Says: "ran longer than 50ms", Bound: "limits.timeout: 50 ms",
			Limits: func(l *Limits) { l.Fuel, l.Timeout = 0, 50*time.Millisecond }},
		{Name: "endless loop on a budget", Tries: "loops for ever at the cost of its item", WASM: k1(w.Forever()).Bytes, Code: "budget-exceeded", Says: "used up the item's fuel budget after 300000 units",
			Bound: "the item's budget: 300,000 units", Budget: 300_000},
		{Name: "exponential recursion", Tries: "calls 2^64 functions without a loop", WASM: doubling, Code: codeFuel, Says: spent, Bound: fuel},
		{Name: "deep recursion", Tries: "calls itself for ever", WASM: k1(w.Local(0), w.Local(1), w.Call(k1Run), w.Return()).Bytes, Code: codeTrap, Says: "stack overflow", Bound: stack, Limits: plenty},
		{Name: "deep recursion by table", Tries: "calls itself through a table for ever", WASM: indirect, Code: codeTrap, Says: "stack overflow", Bound: stack, Limits: plenty},
		{Name: "fill storm", Tries: "fills 512 KiB of memory again and again, one instruction each", WASM: k1(w.Repeat(w.Const(0), w.Const(0), w.Const(512<<10), w.Fill())).Bytes, Code: codeFuel, Says: spent, Bound: fuel + "; bulk operations cost by length"},
		{Name: "trap storm", Tries: "traps on 50 items in a row", WASM: k1(w.Unreachable()).Bytes, Code: codeTrap, Says: "unreachable", Bound: "a new instance after each trap", Times: 50},
		{Name: "wild pointer", Tries: "reads at the end of 4 GiB", WASM: k1(w.Const(-8), w.Load(), w.Drop()).Bytes, Code: codeTrap, Says: "out of bounds memory access", Bound: "checked by the engine"},
		{Name: "wild call", Tries: "calls an entry that its table does not have", WASM: wildCall, Code: codeTrap, Says: "invalid table access", Bound: "checked by the engine"},
	}
	for i := range all {
		all[i].At = AtItem
	}
	return all
}

// plenty leaves fuel and time out of it: growing and calling cost fuel, and a
// busy machine takes its time over a deep stack.
func plenty(l *Limits) { l.Fuel, l.Timeout = 0, time.Minute }

// k1Run is the index of k1_run in a w.Guest without imports.
const k1Run = 3

// doubling has 64 functions, each of which calls the next one twice.
func doubling() []byte {
	const first = k1Run + 1
	return then(k1(w.Call(first)), func(m *w.Module) {
		for i := uint32(first); i < first+64; i++ {
			m.Func("", nil, nil, 0, w.Call(i+1), w.Call(i+1))
		}
		m.Func("", nil, nil, 0)
	}).Bytes()
}

// indirect calls, through the table, a function that does the same.
func indirect() []byte {
	g := k1(w.Call(k1Run + 1))
	var sig uint32
	g.Import = func(m *w.Module) { sig = m.Type(nil, nil); m.Table(1) }
	return then(g, func(m *w.Module) {
		m.Elem(m.Func("", nil, nil, 0, w.Const(0), w.CallIndirect(sig), w.Const(0), w.CallIndirect(sig)))
	}).Bytes()
}

func wildCall() []byte {
	g := k1(w.Const(1_000_000), w.CallIndirect(0))
	g.Import = func(m *w.Module) { m.Type(nil, nil); m.Table(1) }
	return g.Bytes()
}
