package host

import (
	"context"
	"encoding/binary"
	"errors"
	"slices"
	"strings"
	"testing"

	"github.com/waybill-dev/waybill/plugins/internal/k1"
	w "github.com/waybill-dev/waybill/plugins/internal/wasmtest"
)

// counterAt is where the counting guest keeps its count: in its own answer.
const counterAt = w.AnswerAt + 40

func add() []byte        { return []byte{0x6a} }
func store() []byte      { return []byte{0x36, 2, 0} }
func memorySize() []byte { return []byte{0x3f, 0} }

// putWord is an out frame that answers record 0 with 8 bytes.
func putWord() []byte {
	f := make([]byte, 48)
	le := binary.LittleEndian
	le.PutUint32(f, 1)
	le.PutUint32(f[4:], 48)
	le.PutUint16(f[20:], uint16(k1.Put))
	le.PutUint32(f[32:], 40)
	le.PutUint32(f[36:], 8)
	return f
}

// counting is a guest that counts its calls in its memory and answers with the
// count. A record of more than 4000 bytes makes it trap after it counted.
func counting(before ...[]byte) w.Guest {
	const total = 12
	run := append(before, w.Const(counterAt), w.Const(counterAt), w.Load(), w.Const(1), add(), store(),
		w.Const(4000), w.Local(0), w.LoadAt(total), w.Sub(), w.Negative(), w.If(w.Unreachable()),
		w.Packed(w.AnswerAt, 48))
	return w.Guest{Answer: putWord(), Run: run}
}

// counts sends records one by one and returns the answers; 0 stands for a trap.
func counts(t *testing.T, p *Pool, lane int, records ...string) []int {
	t.Helper()
	var out []int
	for _, r := range records {
		ops, err := p.Run(t.Context(), nil, lane, batch(r))
		if err != nil {
			failure(t, err, CodeTrap)
			out = append(out, 0)
			continue
		}
		out = append(out, int(binary.LittleEndian.Uint32(ops[0].Value)))
	}
	return out
}

func TestWhatOutlivesACallDependsOnTheState(t *testing.T) {
	trap := string(make([]byte, 4000))
	for name, c := range map[string]struct {
		state State
		reuse bool
		want  []int
	}{
		"pure":           {Pure, false, []int{1, 1, 0, 1, 1}},
		"isolated":       {Isolated, false, []int{1, 1, 0, 1, 1}},
		"reused":         {Pure, true, []int{1, 2, 0, 1, 2}}, // put back after the trap only
		"kept by a lane": {Lane, false, []int{1, 2, 0, 3, 4}},
	} {
		t.Run(name, func(t *testing.T) {
			for _, mapped := range []bool{false, true} {
				o := options(counting().Bytes())
				o.State, o.Reuse = c.state, c.reuse
				p := pool(t, o)
				if err := p.Warm(t.Context()); err != nil {
					t.Fatal(err)
				}
				p.kernel.image.mapped = mapped && p.kernel.image.pages.mappable()
				if got := counts(t, p, 0, "a", "b", trap, "c", "d"); !slices.Equal(got, c.want) {
					t.Errorf("mapped %t: %v, want %v", mapped, got, c.want)
				}
			}
		})
	}
}

func TestLanesHaveStatesOfTheirOwn(t *testing.T) {
	o := options(counting().Bytes())
	o.State = Lane
	p := pool(t, o)
	for _, want := range []int{1, 2, 3} {
		for lane := range 3 {
			if got := counts(t, p, lane, "x")[0]; got != want {
				t.Errorf("lane %d: %d, want %d", lane, got, want)
			}
		}
	}
}

// TestABisectedBatchLeavesNoTraceInALane: the poison record's calls, and those
// of the batches that it spoiled, count nowhere.
func TestABisectedBatchLeavesNoTraceInALane(t *testing.T) {
	o := options(counting().Bytes())
	o.State = Lane
	p := pool(t, o)
	records := batch("a", string(make([]byte, 4000)), "b")
	if out := p.RunAll(t.Context(), 0, records); out[1].Err == nil || out[0].Err != nil || out[2].Err != nil {
		t.Fatalf("%v", out)
	}
	if got := counts(t, p, 0, "x")[0]; got != 3 { // a, b, x
		t.Errorf("count %d, want 3", got)
	}
}

func TestIsolatedRecordsHaveACallEach(t *testing.T) {
	for state, want := range map[State]int{Isolated: 3, Pure: 1} {
		o := options(counting().Bytes())
		o.State = state
		answered := 0
		for _, out := range pool(t, o).RunAll(t.Context(), 0, batch("a", "b", "c")) {
			answered += len(out.Ops) // the guest answers record 0 only
		}
		if answered != want {
			t.Errorf("%s: %d answers, want %d", state, answered, want)
		}
	}
}

// TestMemoryShrinksBack: each call finds as much memory as the first, and the
// instance need not be made anew; one at its own maximum is.
func TestMemoryShrinksBack(t *testing.T) {
	grow := [][]byte{w.Const(counterAt + 4), memorySize(), store(), w.Const(3), w.Grow(), w.Drop(),
		// the last word of the new memory must be 0; count what is found there
		w.Const(counterAt), w.Const(counterAt), w.Load(), w.Const(11<<16 - 4), w.Load(), add(), store(),
		w.Const(11<<16 - 4), w.Const(7), store()}
	p := pool(t, options(counting(grow...).Bytes()))
	if err := p.Warm(t.Context()); err != nil {
		t.Fatal(err)
	}
	first := p.free.all[0]
	var fuel int64
	for n := range 20 {
		ops, err := p.Run(t.Context(), nil, 0, batch("x"))
		if err != nil {
			t.Fatal(err)
		}
		count, pages := binary.LittleEndian.Uint32(ops[0].Value), binary.LittleEndian.Uint32(ops[0].Value[4:])
		if count != 1 || pages != 8 {
			t.Fatalf("call %d: count %d with %d pages of memory, want 1 with 8", n, count, pages)
		}
		if n > 0 && first.Fuel() != fuel {
			t.Fatalf("call %d: %d fuel, was %d", n, first.Fuel(), fuel)
		}
		fuel = first.Fuel()
	}
	if len(p.free.all) != 1 || p.free.all[0] != first {
		t.Error("the instance was made anew")
	}
}

// TestShrunkMemoryIsOutOfReach: what the memory grew by in one call traps in the
// next.
func TestShrunkMemoryIsOutOfReach(t *testing.T) {
	const total, beyond = 12, 9 << 16
	g := w.Guest{Answer: w.KeepFirst(), Run: [][]byte{
		w.Const(4000), w.Local(0), w.LoadAt(total), w.Sub(), w.Negative(),
		w.If(w.Const(3), w.Grow(), w.Drop(), w.Const(beyond), w.Const(7), store(), w.Packed(w.AnswerAt, 40), w.Return()),
		w.Const(beyond), w.Load(), w.Drop(), w.Packed(w.AnswerAt, 40),
	}}
	p := pool(t, options(g.Bytes()))
	for range 3 {
		if _, err := p.Run(t.Context(), nil, 0, batch(string(make([]byte, 4000)))); err != nil {
			t.Fatal(err)
		}
		_, err := p.Run(t.Context(), nil, 0, batch("x"))
		if f := failure(t, err, CodeTrap); !strings.Contains(f.Cause, "out of bounds") {
			t.Error(f.Cause)
		}
	}
}

// TestReusedInstancesSpendTheSame: a larger input buffer, or memory that grew,
// would make the next call cheaper; such an instance is put back.
func TestReusedInstancesSpendTheSame(t *testing.T) {
	grow := w.Guest{Answer: w.KeepFirst(), Run: [][]byte{
		// one page more, unless there are nine
		memorySize(), w.Const(9), w.LessU(), w.If(w.Const(1), w.Grow(), w.Drop()), w.Packed(w.AnswerAt, 40),
	}}
	for name, c := range map[string]struct {
		guest w.Guest
		size  int
	}{
		"a large record": {w.Guest{Answer: w.KeepFirst()}, 2 * firstBuffer},
		"grown memory":   {grow, 1},
	} {
		o := options(c.guest.Bytes())
		o.Reuse = true
		i, err := compile(t, o).Start(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		defer i.Close()
		var fuel []int64
		for range 3 {
			if _, err := i.Run(t.Context(), nil, frame(t, string(make([]byte, c.size)))); err != nil {
				t.Fatal(err)
			}
			fuel = append(fuel, i.Fuel())
		}
		if slices.Max(fuel) != slices.Min(fuel) {
			t.Errorf("%s: spent %d", name, fuel)
		}
	}
}

// TestTrappedInstancesAreUsedAgain, for ever, but not one whose stack overflowed.
func TestTrappedInstancesAreUsedAgain(t *testing.T) {
	trap := string(make([]byte, 4000))
	p := pool(t, options(counting().Bytes()))
	if err := p.Warm(t.Context()); err != nil {
		t.Fatal(err)
	}
	first := p.free.all[0]
	for range 200 {
		if got := counts(t, p, 0, trap, "x"); !slices.Equal(got, []int{0, 1}) {
			t.Fatal(got)
		}
	}
	if p.free.all[0] != first {
		t.Error("the instance was made anew")
	}

	deep := w.Guest{Then: func(m *w.Module) {}, Run: [][]byte{w.Local(0), w.Local(1), w.Call(3)}}
	p = pool(t, options(deep.Bytes()))
	_, err := p.Run(t.Context(), nil, 0, batch("x"))
	if f := failure(t, err, CodeTrap); f.Cause != "trap: stack overflow" {
		t.Errorf("cause %q", f.Cause)
	}
	if len(p.free.all) != 0 {
		t.Error("an instance with an overflowed stack was kept")
	}
}

// TestTablesCannotBePutBack: a kernel that changes its tables gets a new instance
// for each call, and cannot keep state for a lane.
func TestTablesCannotBePutBack(t *testing.T) {
	g := counting([]byte{0x41, 0, 0xd0, 0x70, 0x26, 0}) // table.set 0 0 (ref.null func)
	g.Then = func(m *w.Module) { m.Table(1) }
	o := options(g.Bytes())
	p := pool(t, o)
	if got := counts(t, p, 0, "a", "b"); !slices.Equal(got, []int{1, 1}) {
		t.Error(got)
	}
	if len(p.free.all) != 0 {
		t.Error("a used instance was kept")
	}
	o.State = Lane
	_, err := New(t.Context(), o)
	failure(t, err, CodeBad)
}

// three instances that close with the test.
func three(t *testing.T, k *Kernel) (out []*Instance) {
	t.Helper()
	for range 3 {
		i, err := k.Start(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(i.Close)
		out = append(out, i)
	}
	return out
}

// TestCopiesStartAsTheFirst: same memory, same globals, same answer, same fuel,
// though only the first one ran its start.
func TestCopiesStartAsTheFirst(t *testing.T) {
	g := counting()
	g.Init = [][]byte{w.Const(counterAt), w.Const(40), store(), w.Const(5), w.Grow(), w.Drop(), w.Const64(0)}
	o := options(g.Bytes())
	o.Warmup = &k1.Record{Value: []byte("warm")}
	k := compile(t, o)
	instances := three(t, k)
	for n, i := range instances {
		ops, err := i.Run(context.Background(), nil, frame(t, "x"))
		if err != nil {
			t.Fatal(err)
		}
		if got := binary.LittleEndian.Uint32(ops[0].Value); got != 42 { // init, warm-up, call
			t.Errorf("instance %d counts %d", n, got)
		}
		if i.memory.size != 13<<16 || i.Fuel() != instances[0].Fuel() {
			t.Errorf("instance %d: %d bytes, %d fuel; the first %d", n, i.memory.size, i.Fuel(), instances[0].Fuel())
		}
	}
}

func TestAFailingWarmUpKeepsTheKernelFromStarting(t *testing.T) {
	o := options(counting().Bytes())
	o.Warmup = &k1.Record{Value: make([]byte, 4000)}
	if _, err := compile(t, o).Start(t.Context()); err == nil {
		t.Fatal("it started")
	} else if f := (*Failure)(nil); !errors.As(err, &f) || f.Code != CodeTrap {
		t.Error(err)
	}
}

// TestCommandsAreAsGoodAsNew: a WASI command starts from the same memory each
// time, and the instance is the same.
func TestCommandsAreAsGoodAsNew(t *testing.T) {
	m := new(w.Module)
	write := m.Import("wasi_snapshot_preview1", "fd_write", []byte{w.I32, w.I32, w.I32, w.I32}, []byte{w.I32})
	m.Memory(1)
	m.Data(8, []byte{16, 0, 0, 0, 1, 0, 0, 0}) // one buffer: the byte at 16
	m.Data(16, []byte("0"))
	m.Func("_start", nil, nil, 0, w.Const(16), w.Const(16), w.Load(), w.Const(1), add(), store(),
		w.Const(1), w.Const(8), w.Const(1), w.Const(24), w.Call(write), w.Drop())
	k := compile(t, options(m.Bytes()))
	for range 3 {
		out, err := k.RunCommand(t.Context(), nil, 0, 0, nil)
		if err != nil || string(out.Output) != "1" {
			t.Errorf("%q, %v", out.Output, err)
		}
	}
	if len(k.idle.all) != 1 {
		t.Errorf("%d idle instances, want 1", len(k.idle.all))
	}
}
