package module_test

import (
	"errors"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/waybill-dev/waybill/plugins/internal/module"
	"github.com/waybill-dev/waybill/plugins/internal/wasi"
	w "github.com/waybill-dev/waybill/plugins/internal/wasmtest"
)

func TestParse(t *testing.T) {
	g := w.Guest{Import: func(m *w.Module) { m.Import("kernel/1", "counter", []byte{w.I32, w.I64}, nil) }}
	m, err := module.Parse(g.Bytes())
	if err != nil {
		t.Fatal(err)
	}
	want := []module.Import{{Module: "kernel/1", Name: "counter", Kind: module.Func, Sig: "(i32, i64)"}}
	if d := cmp.Diff(want, m.Imports); d != "" {
		t.Error(d)
	}
	if e := m.Export("k1_run"); e == nil || e.Sig != "(i32, i32) -> i64" {
		t.Errorf("k1_run: %+v", e)
	}
	if m.Memories != 1 || m.MemoryMin != 8*module.PageSize || m.Start {
		t.Errorf("%+v", m)
	}
	if found := m.Check(module.K1, wasi.Signatures()); len(found) > 0 {
		t.Errorf("a good guest has problems: %v", found)
	}
}

func TestParseRefuses(t *testing.T) {
	good := w.Guest{}.Bytes()
	tests := []struct {
		name, want string
		wasm       []byte
		is         error
	}{
		{"nothing", "does not start", nil, module.ErrNotWASM},
		{"a shell script", "does not start", []byte("#!/bin/sh\nexit 0\n"), module.ErrNotWASM},
		{"text", "text", []byte("(module)"), module.ErrText},
		{"a component", "component", []byte("\x00asm\x0d\x00\x01\x00"), module.ErrComponent},
		{"another version", "version 02 00 00 00", []byte("\x00asm\x02\x00\x00\x00"), nil},
		{"a cut module", "too early", good[:len(good)-3], nil},
		{"a section longer than the file", "too early", append(good[:8:8], 1, 0xff, 0xff, 0x03), nil},
		{"a number that never ends", "too long", append(good[:8:8], 1, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff), nil},
		{"too many types", "the limit is 50000", append(good[:8:8], 1, 3, 0xd1, 0x86, 0x03), nil},
		{"an unknown type", "type 7 is not defined", append(good[:8:8], 3, 2, 1, 7), nil},
		{"too large", "the limit is 16777216", append(good, make([]byte, module.MaxSize)...), nil},
	}
	for _, tt := range tests {
		_, err := module.Parse(tt.wasm)
		if err == nil || !strings.Contains(err.Error(), tt.want) || (tt.is != nil && !errors.Is(err, tt.is)) {
			t.Errorf("%s: got %v, want %q", tt.name, err, tt.want)
		}
	}
}

func TestDialect(t *testing.T) {
	extism := new(w.Module)
	extism.Import("extism:host/env", "input_length", nil, []byte{w.I64})
	command := new(w.Module)
	command.Memory(1)
	command.Func("_start", nil, nil, 0)
	tests := map[module.Dialect][]byte{
		module.K1:      w.Guest{}.Bytes(),
		module.Extism:  extism.Bytes(),
		module.Command: command.Bytes(),
		module.Unknown: new(w.Module).Bytes(),
	}
	for want, wasm := range tests {
		m, err := module.Parse(wasm)
		if err != nil {
			t.Fatal(err)
		}
		if got := m.Dialect(); got != want {
			t.Errorf("got %s, want %s", got, want)
		}
	}
}

func FuzzParse(f *testing.F) {
	f.Add(w.Guest{}.Bytes())
	f.Add(new(w.Module).Bytes())
	f.Fuzz(func(t *testing.T, wasm []byte) {
		m, err := module.Parse(wasm)
		if err != nil {
			return
		}
		m.Dialect()
		m.Check(module.K1, nil)
	})
}
