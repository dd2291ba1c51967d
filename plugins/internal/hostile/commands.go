package hostile

import w "github.com/waybill-dev/waybill/plugins/internal/wasmtest"

// Functions that the commands import, in this order.
const (
	fdRead = iota
	fdWrite
	procExit
)

// commands are WASI commands: programs that read stdin and write stdout. They
// write a peaceful input as it is.
func commands() []Guest {
	write := func(n int32) []byte { // n bytes at dataAt
		iov := [][]byte{w.Const(16), w.Const(dataAt), w.Store(), w.Const(20), w.Const(n), w.Store()}
		return join(append(iov, w.Const(1), w.Const(16), w.Const(1), w.Const(24), w.Call(fdWrite), w.Drop())...)
	}
	all := []Guest{
		{Name: "command that loops", Tries: "reads its input and loops for ever", WASM: command(w.Forever()), Code: codeFuel, Says: "used up its fuel, 2000000 units", Bound: "limits.fuel"},
		{Name: "command that floods", Tries: "writes 1 KiB to stdout for ever", WASM: command(w.Repeat(write(1024))), Code: "kernel-output", Says: "wrote more than 65536 bytes to stdout", Bound: "limits.output: 64 KiB", Limits: func(l *Limits) { l.Fuel = 1_000_000 }},
		{Name: "command that exits", Tries: "exits with code 3", WASM: command(w.Const(3), w.Call(procExit)), Code: "kernel-exit", Says: "exited with code 3", Bound: "proc_exit ends the instance only"},
		{Name: "command that traps", Tries: "traps", WASM: command(w.Unreachable()), Code: codeTrap, Says: "unreachable", Bound: "an instance for each item"},
		{Name: "command that eats", Tries: "grows its memory page by page", Code: codeMemory, Says: "needs more than 16777216 bytes of memory", Bound: "limits.memory: 16 MiB",
			WASM: command(w.Repeat(w.Const(1), w.Grow(), w.Negative(), trapIf()))},
	}
	for i := range all {
		all[i].At = AtItem
	}
	return all
}

func join(parts ...[]byte) []byte {
	var all []byte
	for _, p := range parts {
		all = append(all, p...)
	}
	return all
}

// command reads up to 4 KiB of stdin to dataAt; it attacks if it gets less than
// peaceful bytes, else it writes them.
func command(attack ...[]byte) func() []byte {
	return func() []byte {
		m := new(w.Module)
		m.Import(wasi, "fd_read", i32s(4), i32s(1))
		m.Import(wasi, "fd_write", i32s(4), i32s(1))
		m.Import(wasi, "proc_exit", i32s(1), nil)
		m.Memory(1)
		m.Data(0, []byte{0, 0x10, 0, 0, 0, 0x10, 0, 0}) // 4 KiB at dataAt
		m.Func("_start", nil, nil, 0,
			w.Const(0), w.Const(0), w.Const(1), w.Const(8), w.Call(fdRead), w.Drop(),
			w.Const(8), w.Load(), w.Const(peaceful), w.LessU(), w.If(attack...),
			w.Const(16), w.Const(dataAt), w.Store(), w.Const(20), w.Const(8), w.Load(), w.Store(),
			w.Const(1), w.Const(16), w.Const(1), w.Const(24), w.Call(fdWrite), w.Drop())
		return m.Bytes()
	}
}
