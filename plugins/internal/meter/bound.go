package meter

import "github.com/waybill-dev/waybill/plugins/internal/wasmbin"

// Bound returns a module whose code is as it was, for runs without fuel. Each
// table has a maximum, and the name section says no more than is in it: engines
// make room for a count of names before they read the first. The error is a
// *Refusal, for all that Rewrite refuses.
func Bound(wasm []byte, caps Caps) ([]byte, error) {
	w := newRewriter(caps)
	if _, err := w.run(wasm); err != nil {
		return nil, err
	}
	out := append(make([]byte, 0, len(wasm)), magic...)
	r := wasmbin.NewReader(wasm[len(magic):], len(magic))
	for !r.End() {
		id, size := r.Byte(), r.U32()
		at, body := r.Offset(), r.Bytes(size)
		switch {
		case id == secCustom && wasmbin.NewReader(body, at).Name() == "name":
			continue
		case id == secTable:
			body = newRewriter(caps).tableSection(wasmbin.NewReader(body, at))
		}
		out = wasmbin.AppendBytes(append(out, id), body)
	}
	return wasmbin.AppendBytes(append(out, secCustom), w.names.plain(w.importedFuncs+uint32(len(w.funcTypes)))), nil
}
