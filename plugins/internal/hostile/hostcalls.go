package hostile

import (
	"bytes"

	w "github.com/waybill-dev/waybill/plugins/internal/wasmtest"
)

// hostCalls are kernels that attack through the functions that they import.
func hostCalls() []Guest {
	const (
		fuel    = "limits.fuel; host calls cost fuel, by length"
		checked = "pointers are checked, in uint64"
		spent   = "used up its fuel, 2000000 units"
	)
	logs := func(body ...[]byte) func() []byte { return imports(k1(body...), "kernel/1", "log", i32s(3), nil).Bytes }
	fails := func(body ...[]byte) func() []byte {
		return imports(k1(body...), "kernel/1", "fail", i32s(3), nil).Bytes
	}
	counts := func(body ...[]byte) func() []byte {
		return imports(k1(body...), "kernel/1", "counter", []byte{w.I32, w.I64}, nil).Bytes
	}
	asks := func(name string, params []byte, body ...[]byte) func() []byte {
		return imports(k1(body...), wasi, name, params, i32s(1)).Bytes
	}
	all := []Guest{
		{Name: "host call storm", Tries: "calls the host for ever", WASM: counts(w.Repeat(w.Const(0), w.Const64(1), w.Call(0))), Code: codeFuel, Says: spent, Bound: fuel},
		{Name: "log flood", Tries: "logs for ever", WASM: logs(w.Repeat(w.Const(3), w.Const(dataAt), w.Const(100), w.Call(0))), Code: codeFuel, Says: spent, Bound: "limits.log, then limits.fuel"},
		{Name: "stderr flood", Tries: "writes 16 KiB to stderr for ever", WASM: stderrFlood, Code: codeFuel, Says: spent, Bound: fuel + "; 4 KiB of stderr are kept"},
		{Name: "failure flood", Tries: "reports failures of 16 KiB for ever", WASM: fails(w.Repeat(w.Const(1), w.Const(dataAt), w.Const(16<<10), w.Call(0))), Code: codeFuel, Says: spent, Bound: fuel + "; one message of 4 KiB is kept"},
		{Name: "log from outside", Tries: "logs what lies behind its memory", WASM: logs(w.Const(1), w.Const(-4), w.Const(100), w.Call(0)), Code: codeTrap, Says: "log: 100 bytes at 4294967292 lie outside", Bound: checked},
		{Name: "failure from outside", Tries: "reports 4 GiB of text", WASM: fails(w.Const(1), w.Const(0), w.Const(-1), w.Call(0)), Code: codeTrap, Says: "lie outside", Bound: checked},
		{Name: "counter out of range", Tries: "counts with id 4294967295", WASM: counts(w.Const(-1), w.Const64(1), w.Call(0)), Code: codeTrap, Says: "there are 64 counters", Bound: "64 counters"},
		{Name: "counter per call", Tries: "makes the host remember ever more counters", WASM: counts(w.Const(64), w.Const64(1), w.Call(0)), Code: codeTrap, Says: "there are 64 counters", Bound: "64 counters"},
		{Name: "exit", Tries: "ends the process", WASM: imports(k1(w.Const(0), w.Call(0)), wasi, "proc_exit", i32s(1), nil).Bytes, Code: "kernel-exit", Says: "exited with code 0", Bound: "proc_exit ends the instance only"},
		{Name: "sleep", Tries: "sleeps for an hour, for ever", WASM: sleeper, Code: codeFuel, Says: spent, Bound: "sleeping moves the guest's own clock; limits.fuel"},
		{Name: "random flood", Tries: "asks for 512 KiB of random bytes for ever", WASM: asks("random_get", i32s(2), w.Repeat(w.Const(0), w.Const(512<<10), w.Call(0), w.Drop())), Code: codeFuel, Says: spent, Bound: fuel},
		{Name: "random bytes to outside", Tries: "asks for 4 GiB of random bytes", WASM: asks("random_get", i32s(2), w.Const(0), w.Const(-1), w.Call(0), trapIf()), Code: codeTrap, Says: "unreachable", Bound: checked + ": EFAULT"},
		{Name: "writing to outside", Tries: "writes 4 billion buffers", WASM: asks("fd_write", i32s(4), w.Const(2), w.Const(0), w.Const(-1), w.Const(0), w.Call(0), trapIf()), Code: codeTrap, Says: "unreachable", Bound: "1,024 buffers: EINVAL"},
		{Name: "opening a file", Tries: "opens a path of the host", WASM: opens, Code: codeTrap, Says: "unreachable", Bound: "there is no file system: ENOSYS"},
	}
	for i := range all {
		all[i].At = AtItem
	}
	return all
}

func stderrFlood() []byte {
	g := imports(k1(w.Repeat(w.Const(2), w.Const(64), w.Const(1), w.Const(80), w.Call(0), w.Drop())), wasi, "fd_write", i32s(4), i32s(1))
	return then(g, func(m *w.Module) {
		m.Data(64, []byte{0, 0x10, 0, 0, 0, 0x40, 0, 0}) // 16 KiB at dataAt
		m.Data(dataAt, bytes.Repeat([]byte("flood!\n."), 2048))
	}).Bytes()
}

// sleeper polls a clock subscription of one hour.
func sleeper() []byte {
	g := imports(k1(w.Repeat(w.Const(dataAt), w.Const(dataAt+64), w.Const(1), w.Const(dataAt+128), w.Call(0), w.Drop())), wasi, "poll_oneoff", i32s(4), i32s(1))
	return then(g, func(m *w.Module) {
		m.Data(dataAt+24, []byte{0, 0x40, 0xa2, 0x30, 0x46, 3, 0, 0}) // 3.6e12 ns
	}).Bytes()
}

// opens traps if path_open fails.
func opens() []byte {
	params := []byte{w.I32, w.I32, w.I32, w.I32, w.I32, w.I64, w.I64, w.I32, w.I32}
	g := imports(k1(w.Const(3), w.Const(0), w.Const(dataAt), w.Const(11), w.Const(0), w.Const64(-1), w.Const64(-1), w.Const(0), w.Const(0), w.Call(0), trapIf()),
		wasi, "path_open", params, i32s(1))
	return then(g, func(m *w.Module) { m.Data(dataAt, []byte("/etc/passwd")) }).Bytes()
}
