package plugins

import (
	"bytes"
	"flag"
	"os"
	"path/filepath"
	"testing"

	"github.com/waybill-dev/waybill/plugins/internal/manifest"
	"github.com/waybill-dev/waybill/plugins/internal/wasmbin"
	w "github.com/waybill-dev/waybill/plugins/internal/wasmtest"
)

var update = flag.Bool("update", false, "rewrite the modules in spec/vectors/config")

// TestVectorModules: the modules beside the vectors of pipeline files are what
// is assembled here.
func TestVectorModules(t *testing.T) {
	wants := w.Guest{Import: func(m *w.Module) {
		m.Import("kernel/1", "http", []byte{w.I32, w.I32, w.I32, w.I32}, []byte{w.I64})
		m.Import("kernel/1", "state_get", []byte{w.I32, w.I32, w.I32, w.I32}, []byte{w.I64})
		m.Import("kernel/1", "rest", []byte{w.I32, w.I32, w.I32}, []byte{w.I64})
	}}
	for name, want := range map[string][]byte{
		"schema.wasm": attach(t, w.Guest{}.Bytes(), `{"name":"schema","version":"1.0.0","config":{
			"type":"object","additionalProperties":false,"required":["lang"],"properties":{
				"lang":{"type":"string","pattern":"^[a-z]{2}$"},
				"minWords":{"type":"integer","minimum":1},"maxWords":{"type":"integer","minimum":1},
				"rules":{"type":"array","items":{"$ref":"#/$defs/rule"}}},
			"$defs":{"rule":{"type":"object","additionalProperties":false,"required":["name"],"properties":{"name":{"type":"string"}}}}}}`),
		"wants.wasm":        attach(t, wants.Bytes(), `{"name":"wants","version":"1.0.0","wants":["http","secret"]}`),
		"bad-manifest.wasm": section(w.Guest{}.Bytes(), `{"name":"Bad Name","version":"1.0.0","want":[]}`),
	} {
		path := filepath.Join("..", "spec", "vectors", "config", name)
		if *update {
			if err := os.WriteFile(path, want, 0o644); err != nil {
				t.Fatal(err)
			}
		}
		got, err := os.ReadFile(path)
		if err != nil || !bytes.Equal(got, want) {
			t.Errorf("%s is not what is assembled here (%v): run go test ./plugins -run %s -update", path, err, t.Name())
		}
	}
}

func attach(t *testing.T, wasm []byte, text string) []byte {
	t.Helper()
	out, err := manifest.Attach(wasm, []byte(text))
	if err != nil {
		t.Fatal(err)
	}
	return out
}

// section appends a manifest as it is.
func section(wasm []byte, text string) []byte {
	body := append(wasmbin.AppendName(nil, manifest.SectionName), text...)
	return wasmbin.AppendBytes(append(wasm, 0), body)
}
