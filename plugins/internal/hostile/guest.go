package hostile

import (
	"bytes"
	"slices"
	"time"

	w "github.com/waybill-dev/waybill/plugins/internal/wasmtest"
)

// Point is when a guest attacks, and so where it ends.
type Point string

// Points of attack.
const (
	AtCheck Point = "check" // the module is refused unseen: nothing of it runs
	AtStart Point = "start" // making the first instance fails
	AtItem  Point = "item"  // the item fails, others succeed
)

// Fuel is the limit of a call under which the guests run, StartFuel what the
// host gives the start of an instance.
const (
	Fuel      = 2_000_000
	StartFuel = 1_000_000_000
)

// Limits of a call: the rest as in Defaults.
type Limits struct {
	Memory, Output, Log, Fuel int64
	Timeout                   time.Duration
}

// Defaults are small, so that the whole suite takes seconds.
func Defaults() Limits {
	return Limits{Memory: 16 << 20, Output: 64 << 10, Log: 1 << 10, Fuel: Fuel, Timeout: 10 * time.Second}
}

// Guest is one attack.
type Guest struct {
	Name string
	// Tries says what it attempts.
	Tries string
	// WASM makes the module.
	WASM func() []byte
	// At is when it attacks.
	At Point
	// Code is the error code in which it ends; empty: the item is processed, and
	// its value is as it was.
	Code string
	// Says is a part of the error's text.
	Says string
	// Bound is what bounds it.
	Bound string
	// Limits are changed before it runs; nil leaves them as they are.
	Limits func(*Limits)
	// Budget is the item's fuel budget; 0 means none.
	Budget int64
	// Times is how often it attacks; 0 means once.
	Times int
}

// Attack is the input on which guests attack.
func Attack() []byte { return []byte("!") }

// Peace is an input that every guest that can start keeps as it is: its frame
// has more than peaceful bytes.
func Peace() []byte { return bytes.Repeat([]byte("peace "), 100) }

const peaceful = 256

// All returns all guests, in the order of the page.
func All() []Guest {
	return slices.Concat(binaries(), shapes(), links(), starts(), work(), memories(), hostCalls(), answers(), commands())
}

// Free addresses in the memory of a w.Guest.
const (
	frameAt = 2048
	dataAt  = 4096
)

// k1 makes a kernel that keeps peaceful items and attacks others; the attack
// leaves the stack as it found it, or returns.
func k1(attack ...[]byte) w.Guest {
	return w.Guest{
		Answer: w.KeepFirst(),
		Run:    [][]byte{w.Local(1), w.Const(peaceful), w.LessU(), w.If(attack...), w.Packed(w.AnswerAt, uint32(len(w.KeepFirst())))},
	}
}

// answer ends the attack with a result of k1_run.
func answer(ptr, n uint32) []byte { return append(w.Packed(ptr, n), w.Return()...) }

// imports gives a kernel one import, function 0.
func imports(g w.Guest, module, name string, params, results []byte) w.Guest {
	g.Import = func(m *w.Module) { m.Import(module, name, params, results) }
	return g
}

// then adds to what is done after the kernel's functions are there.
func then(g w.Guest, f func(m *w.Module)) w.Guest {
	before := g.Then
	g.Then = func(m *w.Module) {
		if before != nil {
			before(m)
		}
		f(m)
	}
	return g
}

// trapIf traps if the i32 on the stack is not 0.
func trapIf() []byte { return w.If(w.Unreachable()) }

// i32s are n parameters.
func i32s(n int) []byte { return bytes.Repeat([]byte{w.I32}, n) }
