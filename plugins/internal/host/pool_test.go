package host

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"github.com/waybill-dev/waybill/pipeline"
	"github.com/waybill-dev/waybill/plugins/internal/k1"
	w "github.com/waybill-dev/waybill/plugins/internal/wasmtest"
)

// allergic returns a kernel that traps over batches of more than 4000 bytes and
// drops all others, and a record that is such a batch by itself.
func allergic() (w.Guest, k1.Record) {
	const total = 12 // offset in the header
	g := w.Guest{Run: [][]byte{
		w.Const(4000), w.Local(0), w.LoadAt(total), w.Sub(), w.Negative(), w.If(w.Unreachable()),
		w.Packed(w.AnswerAt, 16),
	}}
	return g, k1.Record{Value: make([]byte, 4000)}
}

func TestPoisonRecordsAreFoundByBisection(t *testing.T) {
	g, poison := allergic()
	records := batch("a", "b", "c", "d", "e", "f", "g", "h", "i", "j", "k")
	for _, bad := range [][]int{{}, {0}, {10}, {3, 4}, {0, 5, 10}} {
		sick := append([]k1.Record(nil), records...)
		want := map[int]bool{}
		for _, i := range bad {
			sick[i], want[i] = poison, true
		}
		p := pool(t, options(g.Bytes()))
		for i, o := range p.RunAll(t.Context(), 0, sick) {
			if (o.Err != nil) != want[i] {
				t.Errorf("poison %v: record %d: %v", bad, i, o.Err)
			}
			if want[i] {
				failure(t, o.Err, CodeTrap)
			}
		}
	}
}

// TestPoisonSpendsItsOwnBudget: a record that loops uses up what it has, and the
// others of its batch pay for their own calls only.
func TestPoisonSpendsItsOwnBudget(t *testing.T) {
	const total, most = 12, 1_000_000
	g := w.Guest{Answer: w.KeepFirst(), Run: [][]byte{
		w.Const(4000), w.Local(0), w.LoadAt(total), w.Sub(), w.Negative(), w.If(w.Forever()),
		w.Packed(w.AnswerAt, 40),
	}}
	var payers []*pipeline.Budget
	for range 3 {
		payers = append(payers, pipeline.NewBudget(most, 0))
	}
	out := pool(t, options(g.Bytes())).RunAll(t.Context(), 0, batch("a", string(make([]byte, 4000)), "b"), payers...)
	failure(t, out[1].Err, CodeBudget)
	if got := payers[1].Spent(pipeline.UnitFuel); got != most {
		t.Errorf("the poison spent %d of %d", got, most)
	}
	for _, i := range []int{0, 2} {
		if got := payers[i].Spent(pipeline.UnitFuel); out[i].Err != nil || got == 0 || got > 100 {
			t.Errorf("record %d: %v, spent %d", i, out[i].Err, got)
		}
	}
}

// TestLargeBatchTakesSeveralCalls: the guest keeps the first record of each frame
// and drops the others.
func TestLargeBatchTakesSeveralCalls(t *testing.T) {
	p := pool(t, options(w.Guest{Answer: w.KeepFirst()}.Bytes()))
	const half = maxTogether / 2
	for _, tt := range []struct {
		sizes []int
		calls string // k: the first of a call
	}{
		{nil, ""},
		{[]int{0, 0, 0}, "k.."},
		{[]int{half, half, half, half, half}, "k.k.k"},
		{[]int{half, half + 1, 1, half}, "kk.k"},
		{[]int{2 * maxTogether, 0, 2 * maxTogether}, "kkk"},
	} {
		records, payers := make([]k1.Record, len(tt.sizes)), make([]*pipeline.Budget, len(tt.sizes))
		for i, n := range tt.sizes {
			records[i].Value, payers[i] = make([]byte, n), new(pipeline.Budget)
		}
		got := ""
		for i, out := range p.RunAll(t.Context(), 0, records, payers...) {
			if out.Err != nil {
				t.Errorf("%v: record %d: %v", tt.sizes, i, out.Err)
			}
			got += map[bool]string{true: "k", false: "."}[len(out.Ops) == 1]
		}
		if len(payers) > 0 && payers[0].Spent(pipeline.UnitFuel) == 0 {
			t.Errorf("%v: nobody paid", tt.sizes)
		}
		if got != tt.calls {
			t.Errorf("%v: calls %s, want %s", tt.sizes, got, tt.calls)
		}
	}
}

func TestBisectionEndsWithTheContext(t *testing.T) {
	g, poison := allergic()
	p := pool(t, options(g.Bytes()))
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	for i, o := range p.RunAll(ctx, 0, []k1.Record{poison, poison, poison}) {
		if !errors.Is(o.Err, context.Canceled) {
			t.Errorf("record %d: %v", i, o.Err)
		}
	}
}

func TestPoolBoundsInstancesAndKeepsThem(t *testing.T) {
	const size = 3
	k := compile(t, options(w.Guest{Answer: w.KeepFirst()}.Bytes()))
	p := NewPool(k, size)
	defer p.Close()
	var wg sync.WaitGroup
	for range 16 {
		wg.Go(func() {
			for range 50 {
				ops, err := p.Run(context.Background(), nil, 0, batch("x"))
				if err != nil || len(ops) != 1 || string(ops[0].Value) != "x" {
					t.Errorf("%v, %v", ops, err)
					return
				}
			}
		})
	}
	wg.Wait()
	if n := len(p.free.all); n < 1 || n > size {
		t.Errorf("%d instances, want 1 to %d", n, size)
	}
	if len(p.slots) != 0 {
		t.Errorf("%d slots are still taken", len(p.slots))
	}
}

func TestWaitingForAnInstanceCanBeCancelled(t *testing.T) {
	p := pool(t, options(w.Guest{}.Bytes()))
	i, err := p.take(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	defer p.give(i)
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := p.Run(ctx, nil, 0, batch("x")); !errors.Is(err, context.Canceled) {
		t.Errorf("got %v", err)
	}
}

// TestOthersGoOnWhileOneLoops: one looping item neither stops nor slows the
// instances of other carriers for longer than it takes to be told.
func TestOthersGoOnWhileOneLoops(t *testing.T) {
	const total = 12
	loops := w.Guest{Answer: w.KeepFirst(), Run: [][]byte{
		w.Const(4000), w.Local(0), w.LoadAt(total), w.Sub(), w.Negative(), w.If(w.Forever()), w.Packed(w.AnswerAt, 40),
	}}
	p := NewPool(compile(t, options(loops.Bytes())), 2)
	defer p.Close()
	ctx, cancel := context.WithCancel(t.Context())
	looping := make(chan error, 1)
	go func() {
		_, err := p.Run(ctx, nil, 0, []k1.Record{{Value: make([]byte, 4000)}})
		looping <- err
	}()
	for range 1000 {
		if _, err := p.Run(t.Context(), nil, 0, batch("quick")); err != nil {
			t.Fatal(err)
		}
	}
	cancel()
	if err := <-looping; !errors.Is(err, context.Canceled) {
		t.Error(err)
	}
}

func TestInputGrowsAndShrinks(t *testing.T) {
	p := pool(t, options(w.Guest{Answer: w.KeepFirst()}.Bytes()))
	for _, n := range []int{0, 1, 100_000, 10, 400_000, 0} {
		ops, err := p.Run(t.Context(), nil, 0, []k1.Record{{Value: make([]byte, n)}})
		if err != nil || len(ops[0].Value) != n {
			t.Errorf("%d bytes: %v", n, err)
		}
	}
	_, err := p.Run(t.Context(), nil, 0, []k1.Record{{Value: make([]byte, 500_000)}})
	if f := failure(t, err, CodeBadFrame); !strings.Contains(f.Cause, "the memory has 524288") {
		t.Error(f.Cause) // this guest promised a buffer that it has not
	}
}

func TestLoadTellsEverythingAtOnce(t *testing.T) {
	m := new(w.Module)
	m.Import("env", "abort", []byte{w.I32}, nil)
	m.Import("kernel/1", "dns", nil, nil)
	m.Import("kernel/1", "log", []byte{w.I32}, nil)
	m.Memory(1)
	m.Func("k1_abi", nil, []byte{w.I32}, 0, w.Const(0))
	m.ExportMemoryAs("k1_buffer")
	_, err := New(t.Context(), options(m.Bytes()))
	f := failure(t, err, CodeExports)
	for _, part := range []string{
		`import env.abort: the host has no module "env"`,
		`import kernel/1.dns: the host has no such function`,
		`import kernel/1.log has signature (i32), the host has (i32, i32, i32)`,
		`export k1_abi has signature () -> i32, want () -> i64`,
		`export k1_buffer is a memory, want a function (i32) -> i32`,
		`no export k1_init (i32, i32) -> i64`,
		`no export k1_run (i32, i32) -> i64`,
	} {
		if !strings.Contains(f.Cause, part) {
			t.Errorf("%q is not in %s", part, f.Cause)
		}
	}
}

func TestMemoryBeyondTheLimitIsRefusedBeforeCompiling(t *testing.T) {
	o := options(w.Guest{}.Bytes())
	o.Limits.Memory = 7 * 65536
	_, err := New(t.Context(), o)
	failure(t, err, CodeMemory)
}

func TestCodeThatDoesNotValidate(t *testing.T) {
	_, err := New(t.Context(), options(w.Guest{Run: [][]byte{w.Const(1)}}.Bytes())) // i32 for i64
	if f := failure(t, err, CodeBad); !strings.Contains(f.Cause, "does not compile") {
		t.Error(f.Cause)
	}
}

func TestCompiledCodeIsCachedOnDisk(t *testing.T) {
	o := options(w.Guest{}.Bytes())
	o.CacheDir = filepath.Join(t.TempDir(), "a", "cache")
	entries := func() map[string]int64 {
		found := map[string]int64{}
		_ = filepath.Walk(o.CacheDir, func(path string, info os.FileInfo, _ error) error {
			if info.Mode().IsRegular() {
				found[path] = info.ModTime().UnixNano()
			}
			return nil
		})
		return found
	}
	pool(t, o)
	first := entries()
	if len(first) == 0 {
		t.Fatal("nothing was cached")
	}
	if info, err := os.Stat(o.CacheDir); err != nil || info.Mode().Perm() != 0o700 {
		t.Errorf("cache folder: %v, %v", info.Mode(), err)
	}
	p := pool(t, o)
	if _, err := p.Run(t.Context(), nil, 0, batch("x")); err != nil {
		t.Fatal(err)
	}
	for path, at := range entries() {
		if first[path] != at {
			t.Errorf("%s was written again", path)
		}
	}
}

func TestCacheThatOthersMayWriteIsRefused(t *testing.T) {
	o := options(w.Guest{}.Bytes())
	o.CacheDir = t.TempDir()
	if err := os.Chmod(o.CacheDir, 0o777); err != nil {
		t.Fatal(err)
	}
	if _, err := New(t.Context(), o); err == nil || !strings.Contains(err.Error(), "mode 0777") {
		t.Errorf("got %v", err)
	}
	link := filepath.Join(t.TempDir(), "link")
	if err := os.Symlink(t.TempDir(), link); err != nil {
		t.Fatal(err)
	}
	o.CacheDir = link
	if _, err := New(t.Context(), o); err == nil || !strings.Contains(err.Error(), "not a folder") {
		t.Errorf("got %v", err)
	}
}

// benchmarkKeep measures one record of 100 bytes through a batch of n.
func benchmarkKeep(b *testing.B, n int) {
	p := pool(b, options(w.Guest{Answer: w.KeepFirst()}.Bytes()))
	records := make([]k1.Record, n)
	for i := range records {
		records[i].Value = make([]byte, 100)
	}
	b.ReportAllocs()
	for b.Loop() {
		if _, err := p.Run(context.Background(), nil, 0, records); err != nil {
			b.Fatal(err)
		}
	}
	b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N*n), "ns/record")
}

func BenchmarkBatch1(b *testing.B)  { benchmarkKeep(b, 1) }
func BenchmarkBatch64(b *testing.B) { benchmarkKeep(b, 64) }
