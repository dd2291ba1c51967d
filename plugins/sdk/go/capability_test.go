//go:build !wasip1

package kernel

import (
	"bytes"
	"encoding/binary"
	"errors"
	"reflect"
	"strings"
	"testing"
)

// host makes h the world of one test.
func host(t *testing.T, h Host) {
	t.Helper()
	before := SetHost(h)
	t.Cleanup(func() { SetHost(before) })
}

func TestHTTPThroughTheBytesOfTheABI(t *testing.T) {
	sent := Request{Method: "PUT", URL: `http://example.com/"?q=ä`, Headers: map[string]string{"B": "2", "A": "1\n"}, Credential: "api", Body: []byte("body\x00")}
	want := Response{Status: 404, Headers: map[string]string{"content-type": "text/plain"}, Body: []byte("none")}
	var got Request
	host(t, Host{HTTP: func(r Request) (Response, error) { got = r; return want, nil }})
	back, err := HTTP(sent)
	if err != nil || !reflect.DeepEqual(got, sent) || !reflect.DeepEqual(back, want) {
		t.Errorf("\nsent %+v\n got %+v\nback %+v, %v", sent, got, back, err)
	}
	if _, err := HTTP(Request{URL: "http://example.com/"}); err != nil || got.Method != "GET" || got.Headers != nil || got.Credential != "" {
		t.Errorf("%+v, %v", got, err)
	}
}

func TestRequestIsAFunctionOfItsFields(t *testing.T) {
	r := Request{URL: "http://example.com/", Headers: map[string]string{"c": "3", "a": "1", "b": "2"}, Body: []byte("x")}
	head := `{"method":"GET","url":"http://example.com/","headers":{"a":"1","b":"2","c":"3"}}`
	want := append(binary.LittleEndian.AppendUint32(nil, uint32(len(head))), head+"x"...)
	for range 10 {
		if got := r.encode(); !bytes.Equal(got, want) {
			t.Fatalf("got %q, want %q", got, want)
		}
	}
}

func TestDamagedResponses(t *testing.T) {
	for _, in := range []string{"", "1234567", "\xc8\x00\x00\x00\x03\x00\x00\x00{}", "\xc8\x00\x00\x00\xff\xff\xff\xff{}", "\xc8\x00\x00\x00\x02\x00\x00\x00{]"} {
		if r, err := decodeResponse([]byte(in)); err == nil {
			t.Errorf("%q: %+v", in, r)
		}
	}
}

func TestNothingIsGrantedByDefault(t *testing.T) {
	host(t, Host{})
	_, http := HTTP(Request{})
	_, blob := Blob("sha256:00")
	_, secret := Secret("name")
	_, state := State("key")
	for i, err := range []error{http, blob, secret, state, PutState("key", nil)} {
		if !errors.Is(err, ErrNotGranted) {
			t.Errorf("%d: %v", i, err)
		}
	}
}

func TestStandIns(t *testing.T) {
	kept := make(map[string][]byte)
	logged := ""
	host(t, Host{
		Log:    func(_ Level, message string) { logged += message },
		Count:  func(id uint32, delta int64) { logged += strings.Repeat("+", int(delta)) },
		Blob:   func(digest string) ([]byte, error) { return []byte("blob " + digest), nil },
		Secret: func(name string) (string, error) { return "", ErrNotFound },
		State: func(key string) ([]byte, error) {
			if v, ok := kept[key]; ok {
				return v, nil
			}
			return nil, ErrNotFound
		},
		PutState: func(key string, value []byte) error { kept[key] = value; return nil },
	})
	Log(Info, "hello")
	Count(1, 3)
	if logged != "hello+++" {
		t.Errorf("logged %q", logged)
	}
	if b, err := Blob("d"); string(b) != "blob d" || err != nil {
		t.Errorf("%q, %v", b, err)
	}
	if _, err := Secret("s"); !errors.Is(err, ErrNotFound) {
		t.Error(err)
	}
	if _, err := State("k"); !errors.Is(err, ErrNotFound) {
		t.Error(err)
	}
	if err := PutState("k", []byte("v")); err != nil {
		t.Error(err)
	}
	if b, err := State("k"); string(b) != "v" || err != nil {
		t.Errorf("%q, %v", b, err)
	}
}

// answers is a host's side of receive: it gives what fits and keeps the rest.
type answers struct {
	last []byte
	lies bool
}

func (a *answers) call(buf []byte) int64 {
	copy(buf, a.last)
	return int64(len(a.last))
}

func (a *answers) rest(from int, buf []byte) int64 {
	if a.lies || from > len(a.last) {
		return -4
	}
	return int64(copy(buf, a.last[from:]))
}

func TestReceive(t *testing.T) {
	for _, n := range []int{0, 1, firstAnswer - 1, firstAnswer, firstAnswer + 1, 3*firstAnswer + 7} {
		a := &answers{last: bytes.Repeat([]byte("abcdefg"), n/7+1)[:n]}
		got, err := receive(a.call, a.rest)
		if err != nil || !bytes.Equal(got, a.last) {
			t.Errorf("%d bytes: got %d, %v", n, len(got), err)
		}
	}
	a := &answers{last: make([]byte, firstAnswer+1), lies: true}
	if _, err := receive(a.call, a.rest); err == nil {
		t.Error("half an answer was taken for a whole one")
	}
}

func TestNegativeAnswers(t *testing.T) {
	a := &answers{last: []byte("no route to host")}
	for code, want := range map[int64]error{-1: ErrNotGranted, -2: ErrNotFound, -3: ErrLimit} {
		if _, err := receive(func([]byte) int64 { return code }, a.rest); !errors.Is(err, want) {
			t.Errorf("%d: %v", code, err)
		}
	}
	if _, err := receive(func([]byte) int64 { return -4 }, a.rest); err == nil || err.Error() != "no route to host" {
		t.Errorf("got %v", err)
	}
	if _, err := receive(func([]byte) int64 { return -4 }, (&answers{lies: true}).rest); err == nil || err.Error() != "failed in the host" {
		t.Errorf("got %v", err)
	}
}
