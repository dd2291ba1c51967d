package host

import (
	"errors"
	"math"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/waybill-dev/waybill/pipeline"
	w "github.com/waybill-dev/waybill/plugins/internal/wasmtest"
)

// tree is a guest whose k1_run calls for hours without a single loop: each of
// its functions calls the next one twice.
func tree() w.Guest {
	first := uint32(4) // after the four exports
	return w.Guest{
		Run: [][]byte{w.Call(first), w.Const64(0)},
		Then: func(m *w.Module) {
			for i := range uint32(60) {
				m.Func("", nil, nil, 0, w.Call(first+i+1), w.Call(first+i+1))
			}
			m.Func("", nil, nil, 0)
		},
	}
}

func TestEndlessGuests(t *testing.T) {
	tests := map[string]w.Guest{
		"loop":          {Run: [][]byte{w.Forever(), w.Const64(0)}},
		"tree of calls": tree(),
		"host calls": {
			Import: func(m *w.Module) { m.Import("kernel/1", "counter", []byte{w.I32, w.I64}, nil) },
			Run:    [][]byte{w.Repeat(w.Const(0), w.Const64(1), w.Call(0)), w.Const64(0)},
		},
		"host calls that fail": {
			Import: func(m *w.Module) {
				m.Import("wasi_snapshot_preview1", "random_get", []byte{w.I32, w.I32}, []byte{w.I32})
			},
			Run: [][]byte{w.Repeat(w.Const(0), w.Const(-1), w.Call(0), w.Drop()), w.Const64(0)},
		},
		"randomness": {
			Import: func(m *w.Module) {
				m.Import("wasi_snapshot_preview1", "random_get", []byte{w.I32, w.I32}, []byte{w.I32})
			},
			Run: [][]byte{w.Repeat(w.Const(65536), w.Const(400_000), w.Call(0), w.Drop()), w.Const64(0)},
		},
		"fills": {Run: [][]byte{w.Repeat(w.Const(0), w.Const(0), w.Const(500_000), []byte{0xfc, 11, 0}), w.Const64(0)}},
	}
	for name, guest := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			o := options(guest.Bytes())
			o.Limits.Fuel = 3_000_000
			k := compile(t, o)
			i, err := k.Start(t.Context())
			if err != nil {
				t.Fatal(err)
			}
			defer i.Close()
			b := frame(t, "x")
			_, err = i.Run(t.Context(), nil, b)
			if failure(t, err, CodeFuel); i.Fuel() != 3_000_000 || i.Broken() {
				t.Errorf("spent %d, broken %t", i.Fuel(), i.Broken())
			}
			o.Limits.Fuel, o.Limits.Timeout = 0, 20*time.Millisecond
			_, err = pool(t, o).Run(t.Context(), nil, 0, batch("x"))
			failure(t, err, CodeTimeout)
		})
	}
}

// TestStartIsMetered: what runs before the first call is under a budget too.
func TestStartIsMetered(t *testing.T) {
	for name, g := range map[string]w.Guest{
		"start section": {Then: func(m *w.Module) { m.Start(m.Func("", nil, nil, 0, w.Forever())) }},
		"k1_init":       {Init: [][]byte{w.Forever(), w.Const64(0)}},
	} {
		o := options(g.Bytes())
		o.Limits.Timeout = time.Minute // the fuel ends it, also on a slow machine
		err := pool(t, o).Warm(t.Context())
		if f := failure(t, err, CodeFuel); !strings.Contains(f.Cause, "1000000000") {
			t.Errorf("%s: %s", name, f.Cause)
		}
	}
}

// TestTablesAreBounded: table.grow answers -1 at the cap.
func TestTablesAreBounded(t *testing.T) {
	grow := func(n int32) w.Guest {
		return w.Guest{
			Run:  [][]byte{{0xd0, 0x70}, w.Const(n), {0xfc, 15, 0}, w.Negative(), w.If(w.Unreachable()), w.Packed(w.AnswerAt, 16)},
			Then: func(m *w.Module) { m.Table(1) },
		}
	}
	if _, err := pool(t, options(grow(65_535).Bytes())).Run(t.Context(), nil, 0, batch("x")); err != nil {
		t.Errorf("up to the limit: %v", err)
	}
	_, err := pool(t, options(grow(65_536).Bytes())).Run(t.Context(), nil, 0, batch("x"))
	failure(t, err, CodeTrap)
	large := w.Guest{Then: func(m *w.Module) { m.Table(65_537) }}
	_, err = New(t.Context(), options(large.Bytes()))
	if f := failure(t, err, CodeBad); !strings.Contains(f.Cause, "a table of 65537 entries, the limit is 65536") {
		t.Error(f.Cause)
	}
}

// TestFuelIsDeterministic: one number for one input, whatever the slices, the
// instance and the machine's load.
func TestFuelIsDeterministic(t *testing.T) {
	// 150,000 turns: more than one slice.
	turns := w.Guest{Run: [][]byte{w.Const(150_000), {0x21, 1, 0x03, 0x40, 0x20, 1, 0x41, 1, 0x6b, 0x22, 1, 0x0d, 0, 0x0b}, w.Packed(w.AnswerAt, 16)}}
	const want = 1 + 2 + 150_000*(1+5) + 1
	k := compile(t, options(turns.Bytes()))
	var wg sync.WaitGroup
	for range 4 {
		wg.Go(func() {
			i, err := k.Start(t.Context())
			if err != nil {
				t.Error(err)
				return
			}
			defer i.Close()
			for range 3 {
				if _, err := i.Run(t.Context(), nil, frame(t, "x")); err != nil || i.Fuel() != want {
					t.Errorf("%d units, want %d: %v", i.Fuel(), want, err)
				}
			}
		})
	}
	wg.Wait()
	for fuel, code := range map[int64]string{want: "", want - 1: CodeFuel} {
		o := options(turns.Bytes())
		o.Limits.Fuel = fuel
		_, err := pool(t, o).Run(t.Context(), nil, 0, batch("x"))
		if (err == nil) != (code == "") {
			t.Errorf("%d of %d units: %v", fuel, want, err)
		}
	}
}

// TestTank checks the books: whatever is taken in which pieces, payers pay what
// was spent and get the rest back; several pay nothing for a call that failed.
func TestTank(t *testing.T) {
	for _, tt := range []struct {
		name    string
		budgets []int64
		limit   int64
		takes   []int64
		pending int64
		spent   int64
		fails   string
		parts   []int64
	}{
		{"nobody pays", nil, 0, []int64{5, 7}, 1, 13, "", nil},
		{"one", []int64{100}, 0, []int64{60, 40}, 0, 100, "", []int64{100}},
		{"one too much", []int64{100}, 0, []int64{60, 41}, 0, 100, CodeBudget, []int64{100}},
		{"host work too much", []int64{100}, 0, []int64{60}, 41, 100, CodeBudget, []int64{100}},
		{"limit", []int64{100}, 90, []int64{60, 31}, 0, 90, CodeFuel, []int64{90}},
		{"limit is just enough", nil, 90, []int64{60, 30}, 0, 90, "", nil},
		{"three share", []int64{0, 1000, 1000}, 0, []int64{10, 10}, 0, 20, "", []int64{7, 7, 6}},
		{"the poorest bounds all, and nobody pays", []int64{5, 1000}, 0, []int64{11}, 0, 10, CodeBudget, []int64{0, 0}},
		{"host work too much for several", []int64{5, 1000}, 0, []int64{10}, 1, 10, CodeBudget, []int64{0, 0}},
	} {
		var budgets []*pipeline.Budget
		for _, n := range tt.budgets {
			budgets = append(budgets, pipeline.NewBudget(n, 0))
		}
		var k tank
		k.begin(t.Context(), time.Second, tt.limit, budgets)
		var failed *stop
		for _, n := range tt.takes {
			if failed == nil {
				failed = k.take(n)
			}
		}
		k.charge(tt.pending)
		spent, err := k.end(failed == nil)
		if failed == nil {
			failed = err
		}
		code := ""
		if failed != nil {
			code = failed.code
		}
		if spent != tt.spent || code != tt.fails {
			t.Errorf("%s: spent %d, %q", tt.name, spent, code)
		}
		for i, b := range budgets {
			left, limited := b.Left(pipeline.UnitFuel)
			if got := b.Spent(pipeline.UnitFuel); got != tt.parts[i] || limited && left != tt.budgets[i]-got {
				t.Errorf("%s: payer %d spent %d, has %d", tt.name, i, got, left)
			}
		}
	}
}

func TestTankNeverOverflows(t *testing.T) {
	var k tank
	k.begin(t.Context(), time.Second, 0, nil)
	if err := k.take(math.MaxInt64 - 1); err != nil {
		t.Error(err)
	}
	if err := k.take(5); err == nil || k.used != math.MaxInt64 {
		t.Errorf("%v, used %d", err, k.used)
	}
}

func TestShapesAreFindings(t *testing.T) {
	deep := w.Guest{Run: [][]byte{[]byte(strings.Repeat("\x02\x40", 9000) + strings.Repeat("\x0b", 9000)), w.Const64(0)}}
	_, found := Inspect(deep.Bytes(), 1<<20)
	var f *Failure
	_, err := New(t.Context(), options(deep.Bytes()))
	if len(found) != 1 || found[0].Code != CodeBad || !strings.Contains(found[0].Message, "nested 9000 deep") || !errors.As(err, &f) {
		t.Errorf("%v, %v", found, err)
	}
}
