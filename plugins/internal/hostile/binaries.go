package hostile

import (
	"math/rand/v2"

	w "github.com/waybill-dev/waybill/plugins/internal/wasmtest"
)

const codeBad = "kernel-bad"

// binaries are files that are no modules.
func binaries() []Guest {
	const bound = "the reader, in uint64 and within the file"
	all := []Guest{
		{Name: "text", Tries: "is the text format", WASM: func() []byte { return []byte("(module)") }, Says: "WebAssembly text"},
		{Name: "component", Tries: "is a component", WASM: func() []byte { return []byte("\x00asm\x0d\x00\x01\x00") }, Says: "a WebAssembly component"},
		{Name: "random bytes", Tries: "is noise behind a module's magic number", WASM: noise, Says: "the module ends too early"},
		{Name: "truncated", Tries: "ends in the middle of a function", WASM: func() []byte { b := w.Guest{}.Bytes(); return b[:len(b)-60] }, Says: "the module ends too early"},
		{Name: "section beyond the file", Tries: "claims a section of 4 GiB", WASM: func() []byte { return []byte("\x00asm\x01\x00\x00\x00\x01\xff\xff\xff\xff\x0f") }, Says: "the module ends too early"},
		{Name: "count of 4 billion", Tries: "claims 4 billion types in six bytes", WASM: func() []byte { return []byte("\x00asm\x01\x00\x00\x00\x01\x06\xff\xff\xff\xff\x0f\x60") }, Says: "4294967295 entries, the limit is 50000"},
	}
	for i := range all {
		all[i].At, all[i].Code, all[i].Bound = AtCheck, codeBad, bound
	}
	return append(all, Guest{Name: "oversized file", Tries: "is a module of 17 MiB", At: AtCheck, Code: "kernel-bad", Bound: "16 MiB; the file is not read", Says: "the limit is 16777216",
		WASM: func() []byte {
			m := new(w.Module)
			m.Custom("padding", make([]byte, 17<<20))
			return m.Bytes()
		}})
}

// noise is always the same.
func noise() []byte {
	r := rand.New(rand.NewPCG(1, 2))
	b := []byte("\x00asm\x01\x00\x00\x00")
	for range 4096 {
		b = append(b, byte(r.Uint32()))
	}
	return b
}
