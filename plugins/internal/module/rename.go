package module

import (
	"fmt"

	"github.com/waybill-dev/waybill/plugins/internal/wasmbin"
)

const (
	headerSize    = 8
	importSection = 2
)

// RenameImports gives import modules other names; the module may import
// functions only. Nothing else changes but the length of the import section, so
// that indices stay what they were.
func RenameImports(wasm []byte, names map[string]string) ([]byte, error) {
	if len(wasm) < headerSize {
		return nil, ErrNotWASM
	}
	out := append(make([]byte, 0, len(wasm)+256), wasm[:headerSize]...)
	r := wasmbin.NewReader(wasm[headerSize:], headerSize)
	for !r.End() {
		id, size := r.Byte(), r.U32()
		at, body := r.Offset(), r.Bytes(size)
		if id == importSection && r.Err() == nil {
			renamed, err := renameSection(wasmbin.NewReader(body, at), names)
			if err != nil {
				return nil, fmt.Errorf("import section: %w", err)
			}
			body = renamed
		}
		out = wasmbin.AppendBytes(append(out, id), body)
	}
	return out, r.Err()
}

func renameSection(r *wasmbin.Reader, names map[string]string) ([]byte, error) {
	var entries []byte
	n := uint32(0)
	r.Each(MaxEntries, func() {
		from, name, kind, index := r.Name(), r.Name(), Kind(r.Byte()), r.U32()
		if kind != Func {
			r.Fail("import %s.%s is a %s, not a function", from, name, kind)
		}
		if to, ok := names[from]; ok {
			from = to
		}
		entries = wasmbin.AppendName(wasmbin.AppendName(entries, from), name)
		entries = wasmbin.AppendU32(append(entries, byte(kind)), index)
		n++
	})
	return append(wasmbin.AppendU32(nil, n), entries...), r.Err()
}
