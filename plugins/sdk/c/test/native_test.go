// Package ctest runs the C SDK natively, under the address and undefined
// behaviour sanitizers, which WebAssembly does not have: unit.c, and the
// conformance kernel over the vectors of the specification.
package ctest

import (
	"bytes"
	"encoding/binary"
	"encoding/hex"
	"encoding/json"
	"errors"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/waybill-dev/waybill/plugins/internal/k1"
)

// build compiles a file of this folder with the system's C compiler.
func build(t *testing.T, source string) string {
	t.Helper()
	cc, err := exec.LookPath("cc")
	if err != nil {
		t.Skip("no C compiler: cc not found")
	}
	out := filepath.Join(t.TempDir(), "program")
	args := []string{"-std=c11", "-Wall", "-Wextra", "-Werror", "-g", "-fsanitize=address,undefined", "-fno-sanitize-recover", "-o", out, filepath.Join("testdata", source)}
	if text, err := exec.Command(cc, args...).CombinedOutput(); err != nil {
		if strings.Contains(string(text), "asan") {
			t.Skipf("no sanitizers: %s", text)
		}
		t.Fatalf("cc: %v\n%s", err, text)
	}
	return out
}

// environ keeps the leak checker out: a kernel's configuration lasts for ever.
func environ() []string { return append(os.Environ(), "ASAN_OPTIONS=detect_leaks=0") }

func TestUnit(t *testing.T) {
	cmd := exec.Command(build(t, "unit.c"))
	cmd.Env = environ()
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Errorf("%v\n%s", err, out)
	}
}

// server is a running server.c.
type server struct {
	in  io.WriteCloser
	out io.Reader
	err bytes.Buffer
	cmd *exec.Cmd
}

func start(t *testing.T, program string) *server {
	t.Helper()
	s := &server{cmd: exec.Command(program)}
	s.cmd.Env, s.cmd.Stderr = environ(), &s.err
	var err error
	if s.in, err = s.cmd.StdinPipe(); err != nil {
		t.Fatal(err)
	}
	if s.out, err = s.cmd.StdoutPipe(); err != nil {
		t.Fatal(err)
	}
	if err := s.cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := errors.Join(s.in.Close(), s.cmd.Wait()); err != nil {
			t.Errorf("%v\n%s", err, &s.err)
		}
	})
	return s
}

// call makes one request: its code and its out frame.
func (s *server) call(t *testing.T, what byte, data []byte) (int64, []byte) {
	t.Helper()
	request := binary.LittleEndian.AppendUint32([]byte{what}, uint32(len(data)))
	if _, err := s.in.Write(append(request, data...)); err != nil {
		t.Fatalf("%v\n%s", err, &s.err)
	}
	var head [12]byte
	if _, err := io.ReadFull(s.out, head[:]); err != nil {
		t.Fatalf("%v\n%s", err, &s.err)
	}
	frame := make([]byte, binary.LittleEndian.Uint32(head[8:]))
	if _, err := io.ReadFull(s.out, frame); err != nil {
		t.Fatalf("%v\n%s", err, &s.err)
	}
	return int64(binary.LittleEndian.Uint64(head[:])), frame
}

func load(t *testing.T, name string, into any) {
	t.Helper()
	b, err := os.ReadFile(filepath.Join("../../../../spec/vectors/kernel", name))
	if err != nil {
		t.Fatal(err)
	}
	if err := json.Unmarshal(b, into); err != nil {
		t.Fatal(err)
	}
}

// sample is a vector of conform.json.
type sample struct {
	Name       string
	Config     json.RawMessage
	Key, Value string
	Value64    []byte
	Meta       map[string]string
	Time, Seed uint64
	Want       []struct {
		Op, Key, Value string
		Value64        []byte
	}
	Error *struct{ Message, Kind string }
}

func either(text string, raw []byte) string {
	if raw != nil {
		return string(raw)
	}
	return text
}

func (s sample) record(t *testing.T) k1.Record {
	t.Helper()
	r := k1.Record{Key: []byte(s.Key), Value: []byte(either(s.Value, s.Value64)), Time: s.Time, Seed: s.Seed}
	if len(s.Meta) > 0 {
		var err error
		if r.Meta, err = json.Marshal(s.Meta); err != nil {
			t.Fatal(err)
		}
	}
	return r
}

// ops is what the vector wants.
func (s sample) ops(source uint32, r k1.Record) (ops []k1.Op) {
	if s.Error != nil {
		port := map[string]uint16{"permanent": k1.ErrPermanent, "retry": k1.ErrRetry, "skip": k1.ErrSkip}[s.Error.Kind]
		return []k1.Op{{Source: source, Code: k1.Err, Port: port, Value: []byte(s.Error.Message)}}
	}
	for _, w := range s.Want {
		switch w.Op {
		case "keep":
			ops = append(ops, k1.Op{Source: source, Code: k1.Keep, Key: r.Key, Value: r.Value})
		case "slice":
			ops = append(ops, k1.Op{Source: source, Code: k1.Slice, Key: r.Key, Value: []byte(either(w.Value, w.Value64))})
		default:
			ops = append(ops, k1.Op{Source: source, Code: k1.Put, Key: []byte(w.Key), Value: []byte(either(w.Value, w.Value64))})
		}
	}
	return ops
}

// TestConformance sends the vectors: each alone, and all of one configuration in
// one batch.
func TestConformance(t *testing.T) {
	var samples []sample
	load(t, "conform.json", &samples)
	program := build(t, "server.c")
	byConfig := make(map[string][]sample)
	for _, s := range samples {
		byConfig[string(s.Config)] = append(byConfig[string(s.Config)], s)
	}
	for config, group := range byConfig {
		if config == "" {
			config = "{}"
		}
		server := start(t, program)
		if code, _ := server.call(t, 'i', []byte(config)); code != 0 {
			t.Fatalf("%s: %d\n%s", config, code, &server.err)
		}
		for _, s := range group {
			server.check(t, s)
		}
		server.check(t, group...)
	}
	server := start(t, program)
	for _, config := range []string{`{"prefx":"a"}`, `{"prefix":1}`, `[]`, ``} {
		if code, _ := server.call(t, 'i', []byte(config)); code >= 0 {
			t.Errorf("%s: not refused", config)
		}
	}
}

func (s *server) check(t *testing.T, samples ...sample) {
	t.Helper()
	records := make([]k1.Record, len(samples))
	var want []k1.Op
	for i, v := range samples {
		records[i] = v.record(t)
		want = append(want, v.ops(uint32(i), records[i])...)
	}
	batch, err := k1.NewBatch(records)
	if err != nil {
		t.Fatal(err)
	}
	frame := make([]byte, batch.Size())
	batch.Encode(frame)
	code, out := s.call(t, 'r', frame)
	got, err := batch.Decode(nil, out)
	if code != 0 || err != nil || len(got) != len(want) {
		t.Fatalf("%s: code %d, %v, %d operations, want %d", samples[0].Name, code, err, len(got), len(want))
	}
	for i, w := range want {
		g := got[i]
		if g.Source != w.Source || g.Code != w.Code || g.Port != w.Port || !bytes.Equal(g.Key, w.Key) || !bytes.Equal(g.Value, w.Value) {
			t.Errorf("%s: got %s port %d %.300q, want %s port %d %.300q", samples[w.Source].Name, g.Code, g.Port, g.Value, w.Code, w.Port, w.Value)
		}
	}
}

func TestRefusesBadFrames(t *testing.T) {
	var vectors struct {
		In    []struct{ Name, Hex string }
		BadIn []struct{ Name, Hex string }
	}
	load(t, "frames.json", &vectors)
	if len(vectors.In) == 0 || len(vectors.BadIn) == 0 {
		t.Fatal("no vectors")
	}
	s := start(t, build(t, "server.c"))
	if code, _ := s.call(t, 'i', []byte("{}")); code != 0 {
		t.Fatal(code)
	}
	for _, v := range vectors.In {
		if code, out := s.call(t, 'r', unhex(t, v.Hex)); code != 0 || len(out) < k1.OutHeaderSize {
			t.Errorf("%s: refused with %d", v.Name, code)
		}
	}
	for _, v := range vectors.BadIn {
		if code, _ := s.call(t, 'r', unhex(t, v.Hex)); code >= 0 {
			t.Errorf("%s: not refused", v.Name)
		}
	}
}

func unhex(t *testing.T, s string) []byte {
	t.Helper()
	b, err := hex.DecodeString(s)
	if err != nil {
		t.Fatal(err)
	}
	return b
}
