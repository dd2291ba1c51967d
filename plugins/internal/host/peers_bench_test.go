//go:build unix

package host

import (
	"bytes"
	"context"
	"strconv"
	"testing"

	sdk "github.com/extism/go-sdk"

	w "github.com/waybill-dev/waybill/plugins/internal/wasmtest"
)

// extismEcho is a plug-in that answers with its input, as Extism's own kits do
// it: eight bytes per call of the host.
func extismEcho() []byte {
	const env = "extism:host/env"
	i64 := func(n int) []byte { return bytes.Repeat([]byte{w.I64}, n) }
	m := new(w.Module)
	length := m.Import(env, "input_length", nil, i64(1))
	alloc := m.Import(env, "alloc", i64(1), i64(1))
	load := m.Import(env, "input_load_u64", i64(1), i64(1))
	store := m.Import(env, "store_u64", i64(2), nil)
	output := m.Import(env, "output_set", i64(2), nil)
	m.Memory(1)
	const at, n, out = 0, 1, 2 // parameters
	add, less := []byte{0x7c}, []byte{0x54}
	copyAll := m.Func("", i64(3), nil, 0,
		[]byte{0x03, 0x40}, // loop
		w.Local(out), w.Local(at), add, w.Local(at), w.Call(load), w.Call(store),
		w.Local(at), w.Const64(8), add, []byte{0x21, at},
		w.Local(at), w.Local(n), less, []byte{0x0d, 0, 0x0b}, // again while at < n; end
		w.Local(out), w.Local(n), w.Call(output))
	m.Func("echo", nil, []byte{w.I32}, 0,
		w.Const64(0), w.Call(length), w.Call(length), w.Call(alloc), w.Call(copyAll), w.Const(0))
	return m.Bytes()
}

// BenchmarkExtism is Extism's own Go SDK with a plug-in that only echoes.
func BenchmarkExtism(b *testing.B) {
	for _, size := range []int{100, 1 << 10, 64 << 10} {
		b.Run(strconv.Itoa(size), func(b *testing.B) {
			ctx := context.Background()
			manifest := sdk.Manifest{Wasm: []sdk.Wasm{sdk.WasmData{Data: extismEcho()}}}
			p, err := sdk.NewPlugin(ctx, manifest, sdk.PluginConfig{}, nil)
			if err != nil {
				b.Fatal(err)
			}
			b.Cleanup(func() { _ = p.Close(ctx) })
			in := prose(size &^ 7)
			perRecord(b, 1, func() {
				_, out, err := p.Call("echo", in)
				if err != nil || !bytes.Equal(out, in) {
					b.Fatal(err, len(out))
				}
			})
		})
	}
}
