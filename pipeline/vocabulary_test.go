package pipeline_test

import (
	"context"
	"errors"
	"fmt"
	"math"
	"strings"
	"sync"
	"testing"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"github.com/waybill-dev/waybill/pipeline"
)

func TestBody(t *testing.T) {
	for _, c := range []struct {
		name  string
		body  pipeline.Body
		value any
		bytes string
		media string
	}{
		{"zero", pipeline.Body{}, nil, "", pipeline.MediaJSON},
		{"value", pipeline.JSONBody(map[string]any{"b": "<&>", "a": []any{1, 2.5, nil}}), map[string]any{"b": "<&>", "a": []any{1, 2.5, nil}}, `{"a":[1,2.5,null],"b":"<&>"}`, pipeline.MediaJSON},
		{"json", pipeline.RawBody([]byte(` {"n": 1, "f": 1.0, "big": 123456789012345678901234567890}`), ""), map[string]any{"n": 1, "f": 1.0, "big": 1.2345678901234568e29}, ` {"n": 1, "f": 1.0, "big": 123456789012345678901234567890}`, pipeline.MediaJSON},
		{"text", pipeline.RawBody([]byte("plain words"), ""), "plain words", "plain words", pipeline.MediaText},
		{"html", pipeline.RawBody([]byte("<p>"), "text/html"), "<p>", "<p>", "text/html"},
		{"json as text", pipeline.RawBody([]byte("1"), "text/plain"), "1", "1", "text/plain"},
		{"null", pipeline.JSONBody(nil), nil, "null", pipeline.MediaJSON},
	} {
		b := c.body
		got, err := b.Value()
		if err != nil {
			t.Errorf("%s: %v", c.name, err)
		}
		if diff := cmp.Diff(c.value, got); diff != "" {
			t.Errorf("%s: value (-want +got):\n%s", c.name, diff)
		}
		if raw, err := b.Bytes(); err != nil || string(raw) != c.bytes {
			t.Errorf("%s: bytes %q, %v", c.name, raw, err)
		}
		if c.name != "zero" && b.MediaType() != c.media {
			t.Errorf("%s: media type %q", c.name, b.MediaType())
		}
	}
}

func TestBodyErrors(t *testing.T) {
	binary := pipeline.RawBody([]byte{0xff, 0x00}, "")
	if _, err := binary.Value(); err == nil || binary.MediaType() != pipeline.MediaBinary {
		t.Errorf("binary: %v, %s", err, binary.MediaType())
	}
	broken := pipeline.RawBody([]byte(`{"a":`), pipeline.MediaJSON)
	if _, err := broken.Value(); err == nil {
		t.Error("broken JSON has a value")
	}
	impossible := pipeline.JSONBody(math.NaN())
	if _, err := impossible.Bytes(); err == nil {
		t.Error("NaN has bytes")
	}
	for _, src := range []string{"1 2", "{} x", "", "[1"} {
		if v, err := pipeline.DecodeJSON([]byte(src)); err == nil {
			t.Errorf("%q decodes to %v", src, v)
		}
	}
}

func TestDigest(t *testing.T) {
	d := pipeline.DigestOf([]byte("abc"))
	if d != "sha256:ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad" || d.Short() != "ba7816bf8f01" || len(d.Hex()) != 64 {
		t.Error(d)
	}
	if got, err := pipeline.ParseDigest(string(d)); err != nil || got != d {
		t.Error(got, err)
	}
	for _, bad := range []string{"", "sha256:", d.Hex(), "sha512:" + d.Hex(), strings.ToUpper(string(d)), string(d) + "0", string(d[:len(d)-1]), string(d[:len(d)-1]) + "G"} {
		if _, err := pipeline.ParseDigest(bad); err == nil {
			t.Errorf("%q parses", bad)
		}
	}
	if pipeline.Digest("").Short() != "" {
		t.Error("an empty digest has a short form")
	}
}

func TestErrors(t *testing.T) {
	cause := errors.New("cause")
	for _, c := range []struct {
		err  error
		kind pipeline.Kind
		code string
	}{
		{nil, pipeline.Retry, ""},
		{cause, pipeline.Retry, "error"},
		{context.Canceled, pipeline.Cancelled, "cancelled"},
		{context.DeadlineExceeded, pipeline.Retry, "timeout"},
		{pipeline.Fail("bad", "no: %w", cause), pipeline.Permanent, "bad"},
		{fmt.Errorf("wrapped: %w", pipeline.Again("busy", "later")), pipeline.Retry, "busy"},
		{pipeline.SkipItem("seen"), pipeline.Skip, "skipped"},
		{&pipeline.Error{Kind: pipeline.Unavailable, Err: context.Canceled}, pipeline.Unavailable, "cancelled"},
	} {
		if kind, code := pipeline.KindOf(c.err), pipeline.CodeOf(c.err); kind != c.kind || code != c.code {
			t.Errorf("%v: %v %q, want %v %q", c.err, kind, code, c.kind, c.code)
		}
	}
	e := pipeline.Fail("bad", "no: %w", cause).WithHint("try %d", 2)
	e.Stage, e.Pos = "store", pipeline.Pos{File: "p.yaml", Line: 3, Col: 5}
	if got, want := e.Error(), `p.yaml:3:5: stage "store": no: cause (try 2)`; got != want || !errors.Is(e, cause) {
		t.Errorf("got %q, want %q", got, want)
	}
	if got := (&pipeline.Error{Kind: pipeline.Bug}).Error(); got != "bug" {
		t.Error(got)
	}
	if got := pipeline.Kind(99).String(); got != "kind(99)" {
		t.Error(got)
	}
}

func TestItem(t *testing.T) {
	var it pipeline.Item
	it.SetMeta("a", "1")
	it.SetArtifact(pipeline.Artifact{Name: "x", Data: []byte("1")})
	it.SetArtifact(pipeline.Artifact{Name: "y"})
	it.SetArtifact(pipeline.Artifact{Name: "x", Data: []byte("2")})
	if it.Meta["a"] != "1" || len(it.Artifacts) != 2 || string(it.Artifact("x").Data) != "2" || it.Artifact("z") != nil {
		t.Errorf("%+v", it)
	}
	it.DependOn(pipeline.Dependency{Name: "k", Digest: "d1"})
	it.DependOn(pipeline.Dependency{Name: "k", Digest: "d1"})
	it.DependOn(pipeline.Dependency{Name: "k", Digest: "d2"})
	if len(it.Dependencies) != 2 {
		t.Errorf("dependencies %v", it.Dependencies)
	}
}

func TestEmit(t *testing.T) {
	parent := &pipeline.Item{ID: "p", Queue: "q", Attempt: 2, Token: 7, Priority: 3, Budget: pipeline.NewBudget(1, 1)}
	own := pipeline.NewBudget(5, 5)
	parent.Emit(&pipeline.Item{ID: "p/0"})
	parent.Emit(&pipeline.Item{ID: "p/1", Budget: own})
	children := parent.TakeEmitted()
	if len(children) != 2 || parent.TakeEmitted() != nil {
		t.Fatalf("children %v", children)
	}
	c := children[0]
	if c.Parent != parent || c.Queue != "q" || c.Attempt != 2 || c.Token != 7 || c.Priority != 3 || c.Budget != parent.Budget || children[1].Budget != own {
		t.Errorf("child %+v", c)
	}
}

func TestSplitURL(t *testing.T) {
	for url, want := range map[string]string{"sqlite:var/q.db": "sqlite|var/q.db|true", "file:a": "file|a|true", "mongodb://h/d": "mongodb|//h/d|true", "a/b:c": "||false", "plain": "||false", ":x": "||false", "./a:b": "||false"} {
		scheme, rest, ok := pipeline.SplitURL(url)
		if got := fmt.Sprintf("%s|%s|%v", scheme, rest, ok); got != want {
			t.Errorf("%q: %s, want %s", url, got, want)
		}
	}
}

func TestTraceContext(t *testing.T) {
	tc := pipeline.TraceContext{Parent: "00-1-2-01"}
	if got := pipeline.TraceFrom(pipeline.ContextWithTrace(context.Background(), tc)); got != tc {
		t.Error(got)
	}
	if got := pipeline.TraceFrom(context.Background()); got != (pipeline.TraceContext{}) {
		t.Error(got)
	}
}

func TestBudgetLimits(t *testing.T) {
	var none *pipeline.Budget
	if err := none.Reserve(pipeline.UnitIO, math.MaxInt64); err != nil {
		t.Error(err)
	}
	none.Settle(pipeline.UnitIO, 1, 1)
	if _, limited := none.Left(pipeline.UnitIO); limited || none.Spent(pipeline.UnitIO) != 0 {
		t.Error("a nil budget has a limit")
	}
	b := pipeline.NewBudget(100, 0)
	if err := b.Reserve(pipeline.UnitFuel, 60); err != nil {
		t.Fatal(err)
	}
	err := b.Reserve(pipeline.UnitFuel, 41)
	if pipeline.CodeOf(err) != "budget-exceeded" || pipeline.KindOf(err) != pipeline.Permanent {
		t.Errorf("overspending: %v", err)
	}
	b.Settle(pipeline.UnitFuel, 60, 10)
	if left, _ := b.Left(pipeline.UnitFuel); left != 90 || b.Spent(pipeline.UnitFuel) != 10 {
		t.Errorf("left %d, spent %d", left, b.Spent(pipeline.UnitFuel))
	}
	b.Settle(pipeline.UnitFuel, 0, 95)
	if err := b.Reserve(pipeline.UnitFuel, 1); err == nil {
		t.Error("an overdrawn budget can be reserved from")
	}
	b.Settle(pipeline.UnitIO, 0, 5)
	if _, limited := b.Left(pipeline.UnitIO); limited || b.Spent(pipeline.UnitIO) != 5 {
		t.Error("an unlimited unit does not count")
	}
}

// TestBudgetLimit: a part of a budget spends from the whole; the tighter of the
// two decides, and a refusal takes nothing from either.
func TestBudgetLimit(t *testing.T) {
	whole := pipeline.NewBudget(0, 100)
	part := whole.Limit(5, 30)
	if err := part.Reserve(pipeline.UnitIO, 31); pipeline.CodeOf(err) != "budget-exceeded" {
		t.Errorf("more than the part has: %v", err)
	}
	if left, _ := whole.Left(pipeline.UnitIO); left != 100 {
		t.Errorf("a refused reservation is kept: %d left", left)
	}
	if err := part.Reserve(pipeline.UnitIO, 20); err != nil {
		t.Fatal(err)
	}
	part.Settle(pipeline.UnitIO, 20, 10)
	if left, limited := part.Left(pipeline.UnitIO); left != 20 || !limited || part.Spent(pipeline.UnitIO) != 10 {
		t.Errorf("the part: left %d, spent %d", left, part.Spent(pipeline.UnitIO))
	}
	if err := whole.Reserve(pipeline.UnitIO, 85); err != nil {
		t.Fatal(err)
	}
	whole.Settle(pipeline.UnitIO, 85, 85)
	if left, _ := part.Left(pipeline.UnitIO); left != 5 || part.Spent(pipeline.UnitIO) != 10 || whole.Spent(pipeline.UnitIO) != 95 {
		t.Errorf("the whole is the tighter one: left %d, spent %d of %d", left, part.Spent(pipeline.UnitIO), whole.Spent(pipeline.UnitIO))
	}
	if err := part.Reserve(pipeline.UnitIO, 6); pipeline.CodeOf(err) != "budget-exceeded" {
		t.Errorf("more than the whole has: %v", err)
	}
	if left, _ := part.Left(pipeline.UnitIO); left != 5 {
		t.Errorf("a refused reservation is kept: %d left", left)
	}
	if _, limited := whole.Left(pipeline.UnitFuel); limited {
		t.Error("the part's limit binds the whole")
	}
	var none *pipeline.Budget
	if left, limited := none.Limit(0, 7).Left(pipeline.UnitIO); left != 7 || !limited {
		t.Errorf("a part of an unlimited budget: %d, %v", left, limited)
	}
	if _, limited := none.Limit(0, 0).Left(pipeline.UnitIO); limited {
		t.Error("0 leaves it to the whole")
	}
}

// TestBudgetBooks: whatever is reserved and settled, limit = left + reserved +
// spent, and left is never negative while nobody overspends.
func TestBudgetBooks(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		limit := rapid.Int64Range(1, 1000).Draw(t, "limit")
		b := pipeline.NewBudget(limit, limit)
		var open []int64
		for range rapid.IntRange(1, 50).Draw(t, "steps") {
			if len(open) > 0 && rapid.Bool().Draw(t, "settle") {
				n := open[0]
				open = open[1:]
				b.Settle(pipeline.UnitIO, n, rapid.Int64Range(0, n).Draw(t, "spent"))
			} else if n := rapid.Int64Range(1, 300).Draw(t, "reserve"); b.Reserve(pipeline.UnitIO, n) == nil {
				open = append(open, n)
			}
			held := int64(0)
			for _, n := range open {
				held += n
			}
			left, _ := b.Left(pipeline.UnitIO)
			if left < 0 || left+held+b.Spent(pipeline.UnitIO) != limit {
				t.Fatalf("left %d + held %d + spent %d != %d", left, held, b.Spent(pipeline.UnitIO), limit)
			}
		}
	})
}

func TestBudgetConcurrent(t *testing.T) {
	b := pipeline.NewBudget(1000, 0)
	var wg sync.WaitGroup
	var mu sync.Mutex
	got := 0
	for range 8 {
		wg.Go(func() {
			for range 500 {
				if b.Reserve(pipeline.UnitFuel, 1) == nil {
					mu.Lock()
					got++
					mu.Unlock()
				}
			}
		})
	}
	wg.Wait()
	if got != 1000 {
		t.Errorf("%d units of 1000 were reserved", got)
	}
}
