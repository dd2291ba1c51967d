package meter

import (
	"testing"

	"github.com/google/go-cmp/cmp"

	w "github.com/waybill-dev/waybill/plugins/internal/wasmtest"
)

// A module that uses so much of each cap is refused by caps that are one less,
// and by no others.
func TestMeasure(t *testing.T) {
	var m w.Module
	m.Import("kernel/1", "fail", []byte{w.I32, w.I32, w.I32}, nil)
	m.Memory(1)
	m.Table(7)
	m.Func("small", nil, nil, 0)
	m.Func("big", []byte{w.I32}, nil, 3, w.Local(0), w.If(w.Local(0), w.If(w.Forever())), w.Const(1), w.Drop())
	wasm := m.Bytes()
	got, err := Measure(wasm)
	if err != nil {
		t.Fatal(err)
	}
	want := Usage{Own: 2, Biggest: Function{Index: 2, Bytes: got.Body}, Caps: Caps{Size: len(wasm), Functions: 3, Body: got.Body, Nesting: 3,
		BrTable: 0, Control: 4, Locals: 3, Tables: 1, TableEntries: 7}}
	if d := cmp.Diff(want, got); d != "" {
		t.Error(d)
	}
	if got.Body < 15 || got.Body > 40 {
		t.Errorf("the biggest function has %d bytes", got.Body)
	}
	if _, err := Rewrite(wasm, got.Caps); err != nil {
		t.Errorf("refused by what it uses: %v", err)
	}
	for name, less := range map[string]func(*Caps){
		"size": func(c *Caps) { c.Size-- }, "body": func(c *Caps) { c.Body-- }, "nesting": func(c *Caps) { c.Nesting-- },
		"control": func(c *Caps) { c.Control-- }, "locals": func(c *Caps) { c.Locals-- }, "tables": func(c *Caps) { c.Tables-- },
		"entries": func(c *Caps) { c.TableEntries-- },
	} {
		caps := got.Caps
		if less(&caps); caps != got.Caps {
			if _, err := Rewrite(wasm, caps); err == nil {
				t.Errorf("%s: one less is accepted too", name)
			}
		}
	}
}

// What the caps refuse can be measured; what cannot be read cannot.
func TestMeasureBeyondTheCaps(t *testing.T) {
	var m w.Module
	m.Table(MaxTableEntries + 5)
	if u, err := Measure(m.Bytes()); err != nil || u.TableEntries != MaxTableEntries+5 || u.Biggest.Index != -1 {
		t.Errorf("%+v, %v", u, err)
	}
	if _, err := Measure([]byte("\x00asm\x01\x00\x00\x00\x01")); err == nil {
		t.Error("a cut module was measured")
	}
}
