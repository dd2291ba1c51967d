package meter_test

import (
	"bytes"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/tetratelabs/wazero"

	"github.com/waybill-dev/waybill/plugins/internal/meter"
	w "github.com/waybill-dev/waybill/plugins/internal/wasmtest"
)

// TestBound: tables get a maximum, a name section that lies is left out and one
// that does not is kept; everything else stays byte for byte.
func TestBound(t *testing.T) {
	names := []byte{1, 4, 1, 0, 1, 'n'} // function 0 is n
	for name, c := range map[string]struct {
		section []byte
		want    string
	}{
		"no names":             {nil, ""},
		"a name":               {names, "n"},
		"four billion names":   {[]byte{1, 5, 0xff, 0xff, 0xff, 0xff, 0x0f}, ""},
		"four billion locals":  {append(names, 2, 5, 0xff, 0xff, 0xff, 0xff, 0x0f), "n"},
		"a function too many":  {[]byte{1, 4, 1, 9, 1, 'n'}, ""},
		"a size that is wrong": {[]byte{1, 100, 1, 0, 1, 'n'}, ""},
	} {
		m := new(w.Module)
		m.Memory(1)
		m.Table(1)
		m.Func("f", nil, nil, 1, w.Forever())
		m.Custom(".debug_line", []byte("kept"))
		plain := m.Bytes()
		if c.section != nil {
			m.Custom("name", c.section)
		}
		bound, err := meter.Bound(m.Bytes(), meter.DefaultCaps())
		if err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		tables := [][]byte{{4, 4, 1, 0x70, 0, 1}, {4, 7, 1, 0x70, 1, 1, 0x80, 0x80, 4}} // up to 65,536
		if want := bytes.Replace(plain, tables[0], tables[1], 1); !bytes.HasPrefix(bound, want) || bytes.Equal(want, plain) {
			t.Errorf("%s: %s", name, cmp.Diff(want, bound))
		}
		r := wazero.NewRuntimeWithConfig(t.Context(), wazero.NewRuntimeConfigInterpreter())
		defer r.Close(t.Context())
		compiled, err := r.CompileModule(t.Context(), bound)
		if err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		if got := compiled.ExportedFunctions()["f"].Name(); got != c.want {
			t.Errorf("%s: function 0 is named %q, want %q", name, got, c.want)
		}
	}
	if _, err := meter.Bound([]byte("x"), meter.DefaultCaps()); err == nil {
		t.Error("no module, and no error")
	}
}
