package kernel

import (
	"bytes"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"reflect"
	"strings"
	"testing"
	"time"
)

// vectors is spec/vectors/kernel/frames.json.
type vectors struct {
	In []struct {
		Name    string
		Records []struct {
			Key, Value, Meta string
			Time, Seed       uint64 `json:",string"`
		}
		Hex string
	}
	BadIn []struct{ Name, Hex string }
}

func load(t testing.TB) vectors {
	t.Helper()
	b, err := os.ReadFile("../../../spec/vectors/kernel/frames.json")
	if err != nil {
		t.Fatal(err)
	}
	var v vectors
	if err := json.Unmarshal(b, &v); err != nil {
		t.Fatal(err)
	}
	if len(v.In) == 0 || len(v.BadIn) == 0 {
		t.Fatal("no vectors")
	}
	return v
}

func unhex(t testing.TB, s string) []byte {
	t.Helper()
	b, err := hex.DecodeString(s)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

func TestReadsTheVectors(t *testing.T) {
	for _, v := range load(t).In {
		frame := unhex(t, v.Hex)
		n, err := count(frame)
		if err != nil || n != len(v.Records) {
			t.Errorf("%s: %d records, %v", v.Name, n, err)
			continue
		}
		for i, want := range v.Records {
			got, err := record(frame, i)
			if err != nil {
				t.Errorf("%s: %v", v.Name, err)
			}
			if string(got.key) != want.Key || string(got.value) != want.Value || string(got.meta) != want.Meta || got.time != want.Time || got.seed != want.Seed {
				t.Errorf("%s: record %d: got %+v, want %+v", v.Name, i, got, want)
			}
			if string(frame[got.valueOff:][:len(got.value)]) != want.Value {
				t.Errorf("%s: record %d: offset %d", v.Name, i, got.valueOff)
			}
		}
	}
}

func TestTrysFramesAreTheVectors(t *testing.T) {
	for _, v := range load(t).In {
		var records []Input
		for _, r := range v.Records {
			records = append(records, Input{[]byte(r.Key), []byte(r.Value), []byte(r.Meta), r.Time, r.Seed})
		}
		if got := hex.EncodeToString(inputFrame(records)); got != v.Hex {
			t.Errorf("%s:\n got %s\nwant %s", v.Name, got, v.Hex)
		}
	}
}

func TestRefusesTheBadVectors(t *testing.T) {
	for _, v := range load(t).BadIn {
		_, err := new(batch).handle(HandlerFunc(func(r *Record) error { r.Keep(); return nil }), unhex(t, v.Hex))
		if !errors.Is(err, errFrame) {
			t.Errorf("%s: got %v", v.Name, err)
		}
	}
}

func FuzzFrame(f *testing.F) {
	v := load(f)
	for _, in := range v.In {
		f.Add(unhex(f, in.Hex))
	}
	for _, in := range v.BadIn {
		f.Add(unhex(f, in.Hex))
	}
	var b batch
	f.Fuzz(func(t *testing.T, frame []byte) {
		out, err := b.handle(HandlerFunc(func(r *Record) error { r.Put(r.Value()); return nil }), frame)
		if err == nil && len(out) < outHeaderSize {
			t.Fatal("no frame and no error")
		}
	})
}

// obey does what the record's value says.
func obey(r *Record) error {
	order, arg, _ := strings.Cut(string(r.Value()), " ")
	switch order {
	case "keep":
		r.Keep()
	case "slice":
		r.Slice(len("slice "), len(r.Value()))
	case "put":
		r.Put([]byte(arg))
	case "twice":
		r.Put([]byte(arg))
		r.PutKey([]byte("k"), []byte(arg+arg))
	case "fail":
		r.Put([]byte("void"))
		return errors.New(arg)
	case "retry":
		return fmt.Errorf("wrapped: %w", Retry(errors.New(arg)))
	case "skip":
		return Skip(arg)
	}
	return nil
}

func TestAnswers(t *testing.T) {
	orders := []string{"keep x", "slice part", "put new", "twice ab", "drop", "fail it broke", "retry later", "skip it", "put "}
	var records []Input
	for _, o := range orders {
		records = append(records, Input{Value: []byte(o)})
	}
	got, err := Try(HandlerFunc(obey), records...)
	if err != nil {
		t.Fatal(err)
	}
	values := func(v ...string) (out [][]byte) {
		for _, s := range v {
			out = append(out, []byte(s))
		}
		return out
	}
	want := []Answer{
		{Values: values("keep x")}, {Values: values("part")}, {Values: values("new")}, {Values: values("ab", "abab")}, {},
		{Err: "it broke"}, {Err: "wrapped: later", Retry: true}, {Err: "it", Skipped: true}, {Values: values("")},
	}
	for i := range want {
		if !reflect.DeepEqual(got[i], want[i]) {
			t.Errorf("%s: got %+v, want %+v", orders[i], got[i], want[i])
		}
	}
}

func TestRecord(t *testing.T) {
	in := Input{Key: []byte("k"), Meta: []byte(`{"a":"b"}`), Value: []byte("v"), TimeNanos: 1_700_000_000_000_000_005, Seed: 9}
	seen := false
	_, err := Try(HandlerFunc(func(r *Record) error {
		seen = true
		if string(r.Key()) != "k" || string(r.Meta()) != `{"a":"b"}` || string(r.Value()) != "v" || r.Seed() != 9 {
			t.Errorf("%q %q %q %d", r.Key(), r.Meta(), r.Value(), r.Seed())
		}
		if want := time.Unix(1_700_000_000, 5).UTC(); !r.Time().Equal(want) {
			t.Errorf("time %s, want %s", r.Time(), want)
		}
		if r.Rand().Uint64() != r.Rand().Uint64() {
			t.Error("randomness is not a function of the record")
		}
		return nil
	}), in)
	if err != nil || !seen {
		t.Errorf("seen %v, %v", seen, err)
	}
}

func TestSliceOutsideOfTheValuePanics(t *testing.T) {
	defer func() {
		if recover() == nil {
			t.Error("no panic")
		}
	}()
	_, _ = Try(HandlerFunc(func(r *Record) error { r.Slice(0, 5); return nil }), Input{Value: []byte("four")})
}

func TestJSONConfig(t *testing.T) {
	type config struct {
		Prefix string `json:"prefix"`
	}
	f := JSON(func(c config) (Handler, error) {
		if c.Prefix == "" {
			return nil, errors.New("prefix is needed")
		}
		return HandlerFunc(func(r *Record) error { r.Put([]byte(c.Prefix)); return nil }), nil
	})
	for in, want := range map[string]string{`{}`: "prefix is needed", `{"prefx":"a"}`: "unknown field", `{"prefix":1}`: "config"} {
		if _, err := f([]byte(in)); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: got %v, want %q", in, err, want)
		}
	}
	h, err := f([]byte(`{"prefix":"a"}`))
	if err != nil {
		t.Fatal(err)
	}
	if got, err := Try(h, Input{}); err != nil || !bytes.Equal(got[0].Values[0], []byte("a")) {
		t.Errorf("%+v, %v", got, err)
	}
}

func TestModuleLifeCycle(t *testing.T) {
	defer func() { module.factory, module.handler = nil, nil }()
	if configure(nil) != codeNoKernel {
		t.Error("configured without Serve")
	}
	if _, code := runBatch(inputFrame(nil)); code != codeNoKernel {
		t.Error("ran without k1_init")
	}
	Serve(func(c []byte) (Handler, error) {
		if string(c) == "bad" {
			return nil, errors.New("bad")
		}
		return HandlerFunc(obey), nil
	})
	if configure([]byte("bad")) != codeConfig || configure([]byte("{}")) != 0 {
		t.Error("configuration")
	}
	if _, code := runBatch([]byte("junk")); code != codeFrame {
		t.Errorf("code %d for a damaged frame", code)
	}
	first, _ := runBatch(inputFrame([]Input{{Value: []byte("put a")}}))
	if out, code := runBatch(inputFrame([]Input{{Value: []byte("put bcd")}})); code != 0 || !bytes.HasSuffix(out, []byte("bcd")) || len(first) != 41 {
		t.Errorf("%d %q", code, out)
	}
	defer func() {
		if recover() == nil {
			t.Error("a second Serve did not panic")
		}
	}()
	Serve(nil)
}

func TestWarmKernelAllocatesNothingForItsAnswer(t *testing.T) {
	frame := inputFrame([]Input{{Value: []byte("keep")}, {Value: []byte("keep")}})
	var b batch
	h := HandlerFunc(func(r *Record) error {
		for range 5 { // more answers than there is room for at first
			r.To(1).PutKey(r.Key(), r.Value())
		}
		copy(r.PutSize(2), "ab")
		return nil
	})
	if n := testing.AllocsPerRun(100, func() { _, _ = b.handle(h, frame) }); n > 0 {
		t.Errorf("%v allocations for two records", n)
	}
}

func ExampleTry() {
	upper := HandlerFunc(func(r *Record) error {
		r.Put(bytes.ToUpper(r.Value()))
		return nil
	})
	answers, err := Try(upper, Input{Value: []byte("hello")})
	fmt.Printf("%s %v\n", answers[0].Values, err)
	// Output: [HELLO] <nil>
}
