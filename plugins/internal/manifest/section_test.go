package manifest_test

import (
	"bytes"
	"errors"
	"strings"
	"testing"

	"github.com/waybill-dev/waybill/plugins/internal/manifest"
	"github.com/waybill-dev/waybill/plugins/internal/module"
	"github.com/waybill-dev/waybill/plugins/internal/wasmbin"
	w "github.com/waybill-dev/waybill/plugins/internal/wasmtest"
)

// custom is a custom section.
func custom(name, content string) []byte {
	return wasmbin.AppendBytes([]byte{0}, append(wasmbin.AppendName(nil, name), content...))
}

func TestAttach(t *testing.T) {
	plain := w.Guest{}.Bytes()
	wasm, err := manifest.Attach(plain, []byte(" {\n \"name\": \"a\", \"version\": \"1.0.0\", \"description\": \"a <b>\" }\n"))
	if err != nil {
		t.Fatal(err)
	}
	want := append(bytes.Clone(plain), custom("k1_meta", `{"name":"a","version":"1.0.0","description":"a <b>"}`)...)
	if !bytes.Equal(wasm, want) {
		t.Errorf("got  %q\nwant %q", wasm, want)
	}
	if m, err := module.Parse(wasm); err != nil || m.Dialect() != module.K1 {
		t.Errorf("no kernel any more: %v", err)
	}
	m, err := manifest.Read(wasm)
	if err != nil || m.Description != "a <b>" {
		t.Errorf("%+v, %v", m, err)
	}
}

// TestAttachReplaces: older manifests go, other custom sections and all bytes
// between stay.
func TestAttachReplaces(t *testing.T) {
	header, rest := w.Guest{}.Bytes()[:8], w.Guest{}.Bytes()[8:]
	name, old, producers := custom("name", "\x00\x02\x01k"), custom("k1_meta", "old"), custom("producers", "\x00")
	before := bytes.Join([][]byte{header, old, name, rest, producers, old, old}, nil)
	got, err := manifest.Attach(before, []byte(`{"name":"n","version":"0.1.0"}`))
	want := bytes.Join([][]byte{header, name, rest, producers, custom("k1_meta", `{"name":"n","version":"0.1.0"}`)}, nil)
	if err != nil || !bytes.Equal(got, want) {
		t.Errorf("%v\ngot  %q\nwant %q", err, got, want)
	}
	again, err := manifest.Attach(got, []byte(`{"name":"n","version":"0.1.0"}`))
	if err != nil || !bytes.Equal(again, got) {
		t.Errorf("a second time differs: %v", err)
	}
}

func TestAttachRefuses(t *testing.T) {
	var list manifest.Error
	if _, err := manifest.Attach(w.Guest{}.Bytes(), []byte(`{}`)); !errors.As(err, &list) {
		t.Errorf("a bad manifest: %v", err)
	}
	if _, err := manifest.Attach([]byte("text"), []byte(`{"name":"n","version":"0.1.0"}`)); !errors.Is(err, manifest.ErrNotWASM) {
		t.Errorf("no module: %v", err)
	}
}

func TestRead(t *testing.T) {
	plain := w.Guest{}.Bytes()
	with := func(parts ...[]byte) []byte { return bytes.Join(append([][]byte{plain}, parts...), nil) }
	good := custom("k1_meta", `{"name":"a","version":"1.0.0"}`)
	for _, tt := range []struct {
		name string
		wasm []byte
		want string // in the error; "-": neither manifest nor error
	}{
		{"none", plain, "-"},
		{"other sections", with(custom("k1_met", "{"), custom("k1_meta2", "{")), "-"},
		{"one", with(good), ""},
		{"two", with(good, good), "2 sections k1_meta"},
		{"too large", with(custom("k1_meta", strings.Repeat(" ", manifest.MaxSize+1))), "the limit is 1048576"},
		{"empty", with(custom("k1_meta", "")), "ends too early"},
		{"bad", with(custom("k1_meta", `{"name":"a"}`)), `version: the key "version" is required`},
		{"cut off", with(good)[:len(plain)+len(good)-1], "ends too early"},
		{"a name that is cut off", with([]byte{0, 2, 0x7f, 'k'}), "ends too early"},
		{"no module", []byte("#!/bin/sh"), "not a WebAssembly"},
		{"a component", []byte("\x00asm\x0d\x00\x01\x00"), "not a WebAssembly"},
		{"nothing", nil, "not a WebAssembly"},
	} {
		m, err := manifest.Read(tt.wasm)
		switch {
		case tt.want == "-":
			if m != nil || err != nil {
				t.Errorf("%s: %+v, %v", tt.name, m, err)
			}
		case tt.want == "":
			if m == nil || err != nil {
				t.Errorf("%s: %+v, %v", tt.name, m, err)
			}
		case m != nil || err == nil || !strings.Contains(err.Error(), tt.want):
			t.Errorf("%s: %+v, %v, want %q", tt.name, m, err, tt.want)
		}
	}
}

// FuzzRead: whatever a module says, reading it ends, and what is taken can be
// attached and read again.
func FuzzRead(f *testing.F) {
	plain := w.Guest{}.Bytes()
	for _, text := range []string{full, `{"name":"a","version":"1.0.0"}`, `{`, ``, `{"name":"a","version":"1.0.0","config":{"anyOf":[{"type":"string"},{"$ref":"#/$defs/x"}],"$defs":{"x":{"not":{}}}}}`} {
		f.Add(append(bytes.Clone(plain), custom("k1_meta", text)...), []byte(text))
	}
	f.Fuzz(func(t *testing.T, wasm, text []byte) {
		_, _ = manifest.Read(wasm) // must return
		m, err := manifest.Parse(text)
		if err != nil {
			return
		}
		attached, err := manifest.Attach(plain, text)
		if err != nil {
			t.Fatalf("%q is taken, but cannot be attached: %v", text, err)
		}
		again, err := manifest.Read(attached)
		if err != nil || again.Name != m.Name || len(again.Samples) != len(m.Samples) {
			t.Fatalf("%q came back as %+v, %v", text, again, err)
		}
		for i := range m.Samples {
			if p := m.CheckConfig(m.Samples[i].ConfigJSON()); len(p) > 0 {
				t.Fatalf("sample %d: %v", i, p)
			}
		}
	})
}
