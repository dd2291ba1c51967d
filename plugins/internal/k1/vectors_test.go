package k1

import (
	"encoding/hex"
	"encoding/json"
	"errors"
	"os"
	"testing"

	"github.com/google/go-cmp/cmp"
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
	Out []struct {
		Name, In, Hex string
		Ops           []struct {
			Source     uint32
			Op         string
			Port       uint16
			Key, Value string
		}
	}
	BadOut []struct{ Name, In, Hex string }
}

func load(t testing.TB) (vectors, map[string]*Batch) {
	t.Helper()
	b, err := os.ReadFile("../../../spec/vectors/kernel/frames.json")
	if err != nil {
		t.Fatal(err)
	}
	var v vectors
	if err := json.Unmarshal(b, &v); err != nil {
		t.Fatal(err)
	}
	batches := make(map[string]*Batch)
	for _, in := range v.In {
		var records []Record
		for _, r := range in.Records {
			records = append(records, Record{Key: []byte(r.Key), Value: []byte(r.Value), Meta: []byte(r.Meta), Time: r.Time, Seed: r.Seed})
		}
		if batches[in.Name], err = NewBatch(records); err != nil {
			t.Fatal(err)
		}
	}
	return v, batches
}

func unhex(t testing.TB, s string) []byte {
	t.Helper()
	b, err := hex.DecodeString(s)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

func TestEncodeMatchesTheVectors(t *testing.T) {
	v, batches := load(t)
	for _, in := range v.In {
		b := batches[in.Name]
		frame := make([]byte, b.Size())
		for i := range frame {
			frame[i] = 0xaa // what was in the buffer before must not show through
		}
		b.Encode(frame)
		if got := hex.EncodeToString(frame); got != in.Hex {
			t.Errorf("%s:\n got %s\nwant %s", in.Name, got, in.Hex)
		}
	}
}

func TestDecodeMatchesTheVectors(t *testing.T) {
	v, batches := load(t)
	type op struct {
		Source     uint32
		Op         string
		Port       uint16
		Key, Value string
	}
	for _, out := range v.Out {
		ops, err := batches[out.In].Decode(nil, unhex(t, out.Hex))
		if err != nil {
			t.Errorf("%s: %v", out.Name, err)
			continue
		}
		got, want := []op{}, []op{}
		for _, o := range ops {
			got = append(got, op{o.Source, o.Code.String(), o.Port, string(o.Key), string(o.Value)})
		}
		for _, o := range out.Ops {
			want = append(want, op(o))
		}
		if d := cmp.Diff(want, got); d != "" {
			t.Errorf("%s: (-want +got)\n%s", out.Name, d)
		}
	}
}

func TestDecodeRefusesTheBadVectors(t *testing.T) {
	v, batches := load(t)
	if len(v.BadOut) < 20 {
		t.Fatalf("only %d bad frames", len(v.BadOut))
	}
	for _, out := range v.BadOut {
		_, err := batches[out.In].Decode(nil, unhex(t, out.Hex))
		var bad *FrameError
		if !errors.As(err, &bad) {
			t.Errorf("%s: got %v, want a FrameError", out.Name, err)
		}
	}
}

func TestDecodeCopiesOutOfTheKernelsMemory(t *testing.T) {
	b, err := NewBatch([]Record{{Value: []byte("in")}})
	if err != nil {
		t.Fatal(err)
	}
	frame := unhex(t, "0100000029000000"+"0000000000000000"+"00000000"+"0200"+"0000"+"0000000000000000"+"2800000001000000"+"78")
	ops, err := b.Decode(nil, frame)
	if err != nil {
		t.Fatal(err)
	}
	clear(frame)
	if string(ops[0].Value) != "x" {
		t.Errorf("value %q changed with the kernel's memory", ops[0].Value)
	}
}

func TestBatchTooLargeForAFrame(t *testing.T) {
	huge := make([]byte, 1<<20)
	records := make([]Record, 2048)
	for i := range records {
		records[i].Value = huge // one array, 2 GiB of values
	}
	if _, err := NewBatch(records); !errors.Is(err, ErrTooLarge) {
		t.Errorf("got %v, want ErrTooLarge", err)
	}
}

// FuzzFrame feeds a host whatever a kernel may answer: it must refuse it or
// hand out bytes of the frame's arena or of the records, never more of them
// than there are.
func FuzzFrame(f *testing.F) {
	v, batches := load(f)
	for _, out := range v.Out {
		f.Add(unhex(f, out.Hex))
	}
	for _, out := range v.BadOut {
		f.Add(unhex(f, out.Hex))
	}
	b := batches["three records"]
	f.Fuzz(func(t *testing.T, frame []byte) {
		ops, err := b.Decode(nil, frame)
		var bad *FrameError
		if err != nil && !errors.As(err, &bad) {
			t.Fatalf("untyped error %v", err)
		}
		put := 0
		for _, o := range ops {
			if int(o.Source) >= len(b.Records) {
				t.Fatalf("source %d", o.Source)
			}
			switch o.Code {
			case Put, Err:
				put += len(o.Key) + len(o.Value)
			case Slice:
				if len(o.Value) > len(b.Records[o.Source].Value) {
					t.Fatalf("slice of %d bytes", len(o.Value))
				}
			}
		}
		if put > len(frame) {
			t.Fatalf("%d bytes out of a frame of %d", put, len(frame))
		}
	})
}

func BenchmarkFrame(b *testing.B) {
	records := make([]Record, 64)
	for i := range records {
		records[i].Value = make([]byte, 100)
	}
	frame := make([]byte, 1<<16)
	for b.Loop() {
		batch, err := NewBatch(records)
		if err != nil {
			b.Fatal(err)
		}
		batch.Encode(frame[:batch.Size()])
	}
}
