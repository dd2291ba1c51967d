package kernel

import (
	"bytes"
	"errors"
	"fmt"
	"reflect"
	"testing"
)

// TestMoreAnswersThanRecords: the room for descriptors grows under answers that
// are written already.
func TestMoreAnswersThanRecords(t *testing.T) {
	for _, n := range []int{0, 1, 2, 3, 100} {
		h := HandlerFunc(func(r *Record) error {
			for i := range n {
				r.PutKey([]byte(fmt.Sprint("key", i)), append(r.Value(), byte(i)))
				r.Slice(1, 2)
			}
			return nil
		})
		frame := inputFrame([]Input{{Value: []byte("abc")}, {Value: []byte("xyz")}})
		var b batch
		for range 2 { // the second time in a buffer that has room
			out, err := b.handle(h, frame)
			if err != nil {
				t.Fatal(err)
			}
			ops := readOps(frame, out)
			if len(ops) != 4*n {
				t.Fatalf("%d operations, want %d", len(ops), 4*n)
			}
			for i, o := range ops {
				value, src, nth := "abc", uint32(0), i%max(2*n, 1)/2
				if i >= 2*n {
					value, src = "xyz", 1
				}
				want := op{src: src, code: opPut, key: []byte(fmt.Sprint("key", nth)), value: append([]byte(value), byte(nth))}
				if i%2 == 1 {
					want = op{src: src, code: opSlice, key: []byte{}, value: []byte(value[1:2])}
				}
				if o.src != want.src || o.code != want.code || !bytes.Equal(o.key, want.key) || !bytes.Equal(o.value, want.value) {
					t.Fatalf("n %d: operation %d is %+v, want %+v", n, i, o, want)
				}
			}
		}
	}
}

// TestFailedRecordTakesBackItsAnswers also where the room grew in between, and
// grows again behind the error.
func TestFailedRecordTakesBackItsAnswers(t *testing.T) {
	h := HandlerFunc(func(r *Record) error {
		for range 20 {
			r.Put(r.Value())
		}
		if string(r.Value()) == "bad" {
			return errors.New("as ordered")
		}
		return nil
	})
	good, bad := Input{Value: []byte("a")}, Input{Value: []byte("bad")}
	got, err := Try(h, good, bad, good, good, bad, good)
	if err != nil {
		t.Fatal(err)
	}
	for i, a := range got {
		if i == 1 || i == 4 {
			if len(a.Values) != 0 || a.Err != "as ordered" {
				t.Errorf("record %d: %+v", i, a)
			}
		} else if len(a.Values) != 20 || string(a.Values[0]) != "a" || string(a.Values[19]) != "a" {
			t.Errorf("record %d: %+v", i, a)
		}
	}
}

func TestNothingIsLeftOfAFailedRecord(t *testing.T) {
	h := HandlerFunc(func(r *Record) error {
		r.Put(make([]byte, 1000))
		return errors.New("no")
	})
	out, err := new(batch).handle(h, inputFrame([]Input{{}}))
	if want := outHeaderSize + opSize + len("no"); err != nil || len(out) != want {
		t.Errorf("a frame of %d bytes, want %d; %v", len(out), want, err)
	}
}

func TestPorts(t *testing.T) {
	h := HandlerFunc(func(r *Record) error {
		r.Put([]byte("zero"))
		r.To(2).Put([]byte("two"))
		r.To(1).Keep()
		r.To(3).Slice(0, 1)
		copy(r.To(4).PutSize(3), "abc")
		r.To(5).PutKey([]byte("k"), nil)
		return nil
	})
	got, err := Try(h, Input{Value: []byte("value")})
	if err != nil {
		t.Fatal(err)
	}
	var values []string
	for _, v := range got[0].Values {
		values = append(values, string(v))
	}
	if want := []string{"zero", "two", "value", "v", "abc", ""}; !reflect.DeepEqual(values, want) {
		t.Errorf("got %q, want %q", values, want)
	}
	if want := []uint16{0, 2, 1, 3, 4, 5}; !reflect.DeepEqual(got[0].Ports, want) {
		t.Errorf("ports %v, want %v", got[0].Ports, want)
	}
}

func TestPutSizeIsZeroInAUsedBuffer(t *testing.T) {
	var b batch
	frame := inputFrame([]Input{{Value: []byte("x")}})
	for round := range 2 {
		_, err := b.handle(HandlerFunc(func(r *Record) error {
			p := r.PutSize(100)
			if !bytes.Equal(p, make([]byte, 100)) {
				t.Errorf("round %d: %q", round, p)
			}
			for i := range p {
				p[i] = 0xff
			}
			return nil
		}), frame)
		if err != nil {
			t.Fatal(err)
		}
	}
}

// TestRandIsSplitMix64: the first numbers of the reference implementation for
// seed 1234567 (Vigna, splitmix64.c).
func TestRandIsSplitMix64(t *testing.T) {
	r := (&Record{in: input{seed: 1234567}}).Rand()
	for i, want := range []uint64{6457827717110365317, 3203168211198807973, 9817491932198370423, 4593380528125082431, 16408922859458223821} {
		if got := r.Uint64(); got != want {
			t.Errorf("number %d is %d, want %d", i, got, want)
		}
	}
}
