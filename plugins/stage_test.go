package plugins

import (
	"bytes"
	"context"
	"errors"
	"io"
	"log/slog"
	"strings"
	"sync"
	"testing"
	"time"
	"unicode/utf8"

	"github.com/google/go-cmp/cmp"

	"github.com/waybill-dev/waybill/pipeline"
	"github.com/waybill-dev/waybill/plugins/internal/host"
	"github.com/waybill-dev/waybill/plugins/internal/k1"
)

// lab returns the configuration of the test kernel.
func lab() Config {
	c := Defaults()
	c.Use = built.path("lab.wasm")
	return c
}

// start makes a stage that closes with the test.
func start(t *testing.T, c Config, change ...func(*pipeline.Env)) pipeline.Stage {
	t.Helper()
	env := pipeline.Env{CacheDir: built.cache, Concurrency: 2, Log: slog.New(slog.DiscardHandler)}
	for _, f := range change {
		f(&env)
	}
	s, err := New(t.Context(), c, env)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := s.(io.Closer).Close(); err != nil {
			t.Error(err)
		}
	})
	if err := s.(pipeline.Starter).Start(t.Context()); err != nil {
		t.Fatal(err)
	}
	return s
}

func item(body string) *pipeline.Item {
	return &pipeline.Item{ID: "item-1", Body: pipeline.RawBody([]byte(body), ""), Enqueued: time.Unix(1_700_000_000, 5)}
}

func text(t *testing.T, b pipeline.Body) string {
	t.Helper()
	raw, err := b.Bytes()
	if err != nil {
		t.Fatal(err)
	}
	return string(raw)
}

func TestKernelChangesTheBody(t *testing.T) {
	c := lab()
	c.With = map[string]any{"prefix": "> "}
	s := start(t, c)
	for order, want := range map[string]string{"upper abc": "> ABC", "keep me": "keep me", "slice part": "part"} {
		it := item(order)
		if err := s.Process(t.Context(), it); err != nil {
			t.Errorf("%s: %v", order, err)
			continue
		}
		if got := text(t, it.Body); got != want {
			t.Errorf("%s: got %q, want %q", order, got, want)
		}
		if len(it.Dependencies) != 1 {
			t.Fatalf("%s: dependencies %v", order, it.Dependencies)
		}
		d := it.Dependencies[0]
		wasm, _ := read(c.Use)
		if d.Name != "lab" || d.Digest != pipeline.DigestOf(wasm) || d.MediaType != "application/wasm" || d.Annotations["dialect"] != "k1" {
			t.Errorf("dependency %+v", d)
		}
	}
}

func TestKernelErrorsAreTyped(t *testing.T) {
	c := lab()
	c.Limits.Output = 50_000
	c.Limits.Memory = 32 << 20
	s := start(t, c)
	tests := []struct {
		order string
		kind  pipeline.Kind
		code  string
		text  string
	}{
		{"fail it is broken", pipeline.Permanent, "kernel-error", "it is broken"},
		{"retry later", pipeline.Retry, "kernel-error", "later"},
		{"skip not a page", pipeline.Skip, "skipped", "not a page"},
		{"drop", pipeline.Skip, "skipped", "dropped"},
		{"panic x", pipeline.Permanent, "kernel-trap", "assignment to entry in nil map"},
		{"exit", pipeline.Permanent, "kernel-exit", "exited with code 7"},
		{"eat", pipeline.Permanent, "kernel-memory", "more than 33554432 bytes"},
		{"big", pipeline.Permanent, "kernel-output", "the limit is 50000"},
		{"what", pipeline.Permanent, "kernel-error", `unknown order "what"`},
	}
	for _, tt := range tests {
		it := item(tt.order)
		err := s.Process(t.Context(), it)
		if pipeline.KindOf(err) != tt.kind || pipeline.CodeOf(err) != tt.code || !strings.Contains(err.Error(), tt.text) {
			t.Errorf("%s: %s %s: %v", tt.order, pipeline.KindOf(err), pipeline.CodeOf(err), err)
		}
		if got := text(t, it.Body); got != tt.order {
			t.Errorf("%s: a failed item's body became %q", tt.order, got)
		}
		after := item("upper ok")
		if err := s.Process(t.Context(), after); err != nil || text(t, after.Body) != "OK" {
			t.Errorf("after %q: %v", tt.order, err)
		}
	}
}

func TestLoopEndsAtTheTimeout(t *testing.T) {
	c := lab()
	c.Limits.Timeout = pipeline.Duration(100 * time.Millisecond)
	err := start(t, c).Process(t.Context(), item("loop"))
	var f *Failure
	if !errors.As(err, &f) || f.Code != "kernel-timeout" || pipeline.KindOf(err) != pipeline.Retry {
		t.Errorf("got %v", err)
	}
}

func TestKernelSeesItsItemAndNothingElse(t *testing.T) {
	s := start(t, lab())
	it := item("world")
	it.Key = "k"
	it.Meta = map[string]string{"host": "example.com", "a": "b"}
	if err := s.Process(t.Context(), it); err != nil {
		t.Fatal(err)
	}
	want := `2023-11-14T22:13:20.000000005Z 2023-11-14T22:13:20.000000005Z key=k meta={"a":"b","host":"example.com"} seed=`
	if got := text(t, it.Body); !strings.HasPrefix(got, want) {
		t.Errorf("got  %s\nwant %s", got, want)
	}
	it = item("files")
	if err := s.Process(t.Context(), it); err != nil {
		t.Fatal(err)
	}
	if got := text(t, it.Body); !strings.Contains(got, "hostname") || strings.Contains(got, "<nil>") {
		t.Errorf("a file could be read: %s", got)
	}
	it = item("sleep")
	if err := s.Process(t.Context(), it); err != nil {
		t.Fatal(err)
	}
	if got := text(t, it.Body); got != "1h0m0s" {
		t.Errorf("slept %s", got)
	}
}

// TestSameInputSameOutput: on every instance, after any history, in any batch.
func TestSameInputSameOutput(t *testing.T) {
	run := func(s pipeline.Stage) string {
		it := item("world")
		if err := s.Process(t.Context(), it); err != nil {
			t.Fatal(err)
		}
		return text(t, it.Body)
	}
	first, second := start(t, lab()), start(t, lab())
	want := run(first)
	for range 3 {
		_ = first.Process(t.Context(), item("sleep"))
		_ = first.Process(t.Context(), item("exit"))
		if got := run(first); got != want {
			t.Errorf("later: %s, first: %s", got, want)
		}
	}
	if got := run(second); got != want {
		t.Errorf("another instance: %s, first: %s", got, want)
	}
	c := lab()
	c.Batch = 3
	items := []*pipeline.Item{item("upper x"), item("world"), item("world")}
	items[0].Enqueued = time.Unix(1, 0)
	for i, err := range start(t, c).(pipeline.Batcher).ProcessBatch(t.Context(), items) {
		if err != nil {
			t.Fatalf("item %d: %v", i, err)
		}
	}
	// The second word is the guest's own clock, which is the batch's.
	cut := func(s string) []string { f := strings.Fields(s); return append(f[:1:1], f[2:]...) }
	if d := cmp.Diff(cut(want), cut(text(t, items[1].Body))); d != "" {
		t.Errorf("in a batch: %s", d)
	}
}

// TestKeysOfChildrenAreThoseOfItems: what no queue would take, no kernel makes.
func TestKeysOfChildrenAreThoseOfItems(t *testing.T) {
	s := &stage{kernel: &host.Kernel{}}
	for key, want := range map[string]string{"good": "", "": "", "a\nb": host.CodeBadFrame, "\xff": host.CodeBadFrame, strings.Repeat("k", 513): host.CodeBadFrame} {
		it := item("x")
		err := s.finish(it, []k1.Op{{Code: k1.Put}, {Code: k1.Put, Key: []byte(key)}})
		if made := len(it.TakeEmitted()); pipeline.CodeOf(err) != want || (made == 2) != (want == "") {
			t.Errorf("%.9q: %d children, %v", key, made, err)
		}
	}
}

// TestErrorTextIsBounded: what a kernel says about an item stays in its outcome.
func TestErrorTextIsBounded(t *testing.T) {
	s := &stage{kernel: &host.Kernel{}}
	for _, port := range []uint16{k1.ErrPermanent, k1.ErrRetry, k1.ErrSkip} {
		err := s.recordError(k1.Op{Code: k1.Err, Port: port, Value: bytes.Repeat([]byte("ä\xff"), 1<<20)})
		if text := err.Error(); len(text) > 4*maxMessage || !utf8.ValidString(text) || !strings.Contains(text, "ä\ufffdä") {
			t.Errorf("port %d: %d bytes", port, len(text))
		}
	}
}

func TestSeveralAnswersMakeChildren(t *testing.T) {
	s := start(t, lab())
	it := item("split a b c")
	it.SetMeta("host", "example.com")
	if err := s.Process(t.Context(), it); err != nil {
		t.Fatal(err)
	}
	var got []string
	for _, c := range it.TakeEmitted() {
		got = append(got, c.ID+" "+c.Key+" "+text(t, c.Body)+" "+c.Meta["host"])
		if c.Parent != it || len(c.Dependencies) != 1 {
			t.Errorf("child %+v", c)
		}
	}
	want := []string{"item-1/0 key-a a example.com", "item-1/1 key-b b example.com", "item-1/2 key-c c example.com"}
	if d := cmp.Diff(want, got); d != "" {
		t.Error(d)
	}
}

func TestInputAndOutputArtifacts(t *testing.T) {
	c := lab()
	c.Input, c.As = "order.txt", "answer.json"
	s := start(t, c)
	it := item("untouched")
	if err := s.Process(t.Context(), it); pipeline.CodeOf(err) != "kernel-input" {
		t.Errorf("without the artifact: %v", err)
	}
	it.SetArtifact(pipeline.Artifact{Name: "order.txt", Data: []byte(`upper {}`)})
	if err := s.Process(t.Context(), it); err != nil {
		t.Fatal(err)
	}
	a := it.Artifact("answer.json")
	if a == nil || string(a.Data) != "{}" || a.MediaType != pipeline.MediaJSON || text(t, it.Body) != "untouched" {
		t.Errorf("artifact %+v", a)
	}
}

func TestBudgetIsCharged(t *testing.T) {
	s := start(t, lab())
	it := item("upper abc") // 9 bytes in, 3 out
	it.Budget = pipeline.NewBudget(0, 12)
	if err := s.Process(t.Context(), it); err != nil || it.Budget.Spent(pipeline.UnitIO) != 12 {
		t.Errorf("spent %d, %v", it.Budget.Spent(pipeline.UnitIO), err)
	}
	it = item("upper abc")
	it.Budget = pipeline.NewBudget(0, 11)
	if err := s.Process(t.Context(), it); pipeline.CodeOf(err) != "budget-exceeded" || text(t, it.Body) != "upper abc" {
		t.Errorf("got %v", err)
	}
}

// TestFuelIsCharged: an item pays for its own call and no more than it has; the
// bill of a call is the same in every fresh instance.
func TestFuelIsCharged(t *testing.T) {
	spent := func(order string, fuel int64) (int64, string) {
		it := item(order)
		it.Budget = pipeline.NewBudget(fuel, 0)
		err := start(t, lab()).Process(t.Context(), it)
		return it.Budget.Spent(pipeline.UnitFuel), pipeline.CodeOf(err)
	}
	bill, code := spent("upper abc", 0)
	if code != "" || bill < 1000 {
		t.Fatalf("spent %d: %s", bill, code)
	}
	if again, code := spent("upper abc", bill); again != bill || code != "" {
		t.Errorf("with just enough: %d, %q", again, code)
	}
	if part, code := spent("upper abc", bill-1); part != bill-1 || code != "budget-exceeded" {
		t.Errorf("with one unit too little: %d, %q", part, code)
	}
	if all, code := spent("loop", 5_000_000); all != 5_000_000 || code != "budget-exceeded" {
		t.Errorf("a loop: %d, %q", all, code)
	}
}

// TestBatchSharesTheBill: the fuel of a batch is divided among its items, and one
// that cannot pay fails alone.
func TestBatchSharesTheBill(t *testing.T) {
	c := lab()
	c.Batch = 3
	items := []*pipeline.Item{item("upper x"), item("upper y"), item("upper z")}
	for i, fuel := range []int64{0, 200, 100_000_000} {
		items[i].Budget = pipeline.NewBudget(fuel, 0)
	}
	var codes []string
	for _, err := range start(t, c).(pipeline.Batcher).ProcessBatch(t.Context(), items) {
		codes = append(codes, pipeline.CodeOf(err))
	}
	if d := cmp.Diff([]string{"", "budget-exceeded", ""}, codes); d != "" {
		t.Error(d)
	}
	if got := items[1].Budget.Spent(pipeline.UnitFuel); got != 200 {
		t.Errorf("item 1 spent %d of 200", got)
	}
	if left, _ := items[2].Budget.Left(pipeline.UnitFuel); left+items[2].Budget.Spent(pipeline.UnitFuel) != 100_000_000 {
		t.Errorf("%d left of 100M after spending %d", left, items[2].Budget.Spent(pipeline.UnitFuel))
	}
}

func TestBatchIsolatesThePoison(t *testing.T) {
	c := lab()
	c.Batch = 8
	c.Limits.Timeout = pipeline.Duration(300 * time.Millisecond)
	s := start(t, c).(pipeline.Batcher)
	if n, _ := s.Batching(); n != 8 {
		t.Errorf("batch of %d", n)
	}
	orders := []string{"upper a", "panic", "upper b", "fail x", "drop", "loop", "upper c", "keep"}
	want := []string{"", "kernel-trap", "", "kernel-error", "skipped", "kernel-timeout", "", ""}
	var items []*pipeline.Item
	for _, o := range orders {
		items = append(items, item(o))
	}
	var got []string
	for _, err := range s.ProcessBatch(t.Context(), items) {
		got = append(got, pipeline.CodeOf(err))
	}
	if d := cmp.Diff(want, got); d != "" {
		t.Error(d)
	}
	if text(t, items[6].Body) != "C" {
		t.Errorf("item 6: %s", text(t, items[6].Body))
	}
}

func TestOneItemPerCallIsNoBatcher(t *testing.T) {
	s, err := New(context.Background(), lab(), pipeline.Env{})
	if err != nil {
		t.Fatal(err)
	}
	if _, ok := s.(pipeline.Batcher); ok {
		t.Error("a stage with batch 1 makes the engine gather items")
	}
}

func TestConcurrentItems(t *testing.T) {
	s := start(t, lab(), func(e *pipeline.Env) { e.Concurrency = 4 })
	var wg sync.WaitGroup
	for n := range 8 {
		wg.Go(func() {
			for i := range 50 {
				it := item("upper abc")
				if i%10 == n {
					it = item("panic")
					if err := s.Process(context.Background(), it); pipeline.CodeOf(err) != "kernel-trap" {
						t.Error(err)
					}
					continue
				}
				if err := s.Process(context.Background(), it); err != nil {
					t.Error(err)
				}
			}
		})
	}
	wg.Wait()
}

func TestLogsAndCountersReachTheLog(t *testing.T) {
	var out bytes.Buffer
	env := pipeline.Env{CacheDir: built.cache, Log: slog.New(slog.NewTextHandler(&out, nil))}
	s, err := New(t.Context(), lab(), env)
	if err != nil {
		t.Fatal(err)
	}
	if err := s.(pipeline.Starter).Start(t.Context()); err != nil {
		t.Fatal(err)
	}
	if err := s.Process(t.Context(), item("log mind the gap")); err != nil {
		t.Fatal(err)
	}
	if err := s.(io.Closer).Close(); err != nil {
		t.Fatal(err)
	}
	for _, part := range []string{"level=WARN", "mind the gap", "kernel=lab", "map[1:2]"} {
		if !strings.Contains(out.String(), part) {
			t.Errorf("%q is not in %s", part, out.String())
		}
	}
}

func TestRefusedConfigurationEndsTheStart(t *testing.T) {
	for _, with := range []map[string]any{{"refuse": true}, {"unknownKey": 1}} {
		c := lab()
		c.With = with
		s, err := New(t.Context(), c, pipeline.Env{CacheDir: built.cache})
		if err != nil {
			t.Fatal(err)
		}
		if err := s.(pipeline.Starter).Start(t.Context()); pipeline.CodeOf(err) != "kernel-init" {
			t.Errorf("%v: %v", with, err)
		}
		if err := s.(io.Closer).Close(); err != nil {
			t.Error(err)
		}
	}
}

func TestEmptyAndHugeInput(t *testing.T) {
	s := start(t, lab())
	if err := s.Process(t.Context(), item("")); pipeline.CodeOf(err) != "kernel-error" {
		t.Errorf("empty: %v", err)
	}
	it := item("keep" + strings.Repeat(" ", 4<<20))
	if err := s.Process(t.Context(), it); err != nil {
		t.Errorf("4 MiB: %v", err)
	}
	it = item("keep" + strings.Repeat(" ", 65<<20))
	if err := s.Process(t.Context(), it); pipeline.CodeOf(err) != "kernel-memory" {
		t.Errorf("65 MiB into 64 MiB: %v", err)
	}
}
