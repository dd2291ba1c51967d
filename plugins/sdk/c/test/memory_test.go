package ctest

import (
	"bytes"
	"context"
	"os"
	"testing"

	"github.com/tetratelabs/wazero"

	"github.com/waybill-dev/waybill/plugins/internal/k1"
)

// TestMemoryIsFlat: 100,000 records, small and large ones that need larger
// buffers, memory of their own and more operations than one, leave the linear
// memory of a freestanding kernel as large as the first thousand did.
func TestMemoryIsFlat(t *testing.T) {
	ctx := context.Background()
	r := wazero.NewRuntime(ctx)
	defer r.Close(ctx)
	host := r.NewHostModuleBuilder("kernel/1")
	host.NewFunctionBuilder().WithFunc(func(level, ptr, n uint32) {}).Export("log")
	host.NewFunctionBuilder().WithFunc(func(code, ptr, n uint32) {}).Export("fail")
	host.NewFunctionBuilder().WithFunc(func(id uint32, delta int64) {}).Export("counter")
	if _, err := host.Instantiate(ctx); err != nil {
		t.Fatal(err)
	}
	wasm, err := os.ReadFile("../conform/conform.wasm")
	if err != nil {
		t.Fatal(err)
	}
	m, err := r.Instantiate(ctx, wasm)
	if err != nil {
		t.Fatal(err)
	}
	buffer, run := m.ExportedFunction("k1_buffer"), m.ExportedFunction("k1_run")
	call := func(records []k1.Record, want int) {
		b, err := k1.NewBatch(records)
		if err != nil {
			t.Fatal(err)
		}
		at, err := buffer.Call(ctx, uint64(b.Size()))
		if err != nil || at[0] == 0 || at[0]%16 != 0 {
			t.Fatalf("k1_buffer: %v %v", at, err)
		}
		frame, _ := m.Memory().Read(uint32(at[0]), b.Size())
		b.Encode(frame)
		answer, err := run.Call(ctx, at[0], uint64(b.Size()))
		if err != nil || int64(answer[0]) < 0 {
			t.Fatalf("k1_run: %v %v", answer, err)
		}
		out, _ := m.Memory().Read(uint32(answer[0]>>32), uint32(answer[0]))
		if ops, err := b.Decode(nil, out); err != nil || len(ops) != want {
			t.Fatalf("%d operations, %v, want %d", len(ops), err, want)
		}
	}
	configured, err := buffer.Call(ctx, 2)
	if err != nil || !m.Memory().Write(uint32(configured[0]), []byte("{}")) {
		t.Fatal(err)
	}
	if _, err := m.ExportedFunction("k1_init").Call(ctx, configured[0], 2); err != nil {
		t.Fatal(err)
	}
	large, parts := bytes.Repeat([]byte("x"), 300_000), append([]byte(","), bytes.Repeat([]byte("part,"), 2000)...)
	failed := append([]byte("!"), large...)
	batch := make([]k1.Record, 100)
	for i := range batch {
		batch[i].Value = []byte("some value of a hundred bytes or so")
	}
	var first uint32
	for i := range 1000 {
		call(batch, len(batch))
		if i%10 == 0 {
			call([]k1.Record{{Value: failed}, {Value: parts}, {Value: large}}, 2002)
		}
		if i == 100 {
			first = m.Memory().Size()
		}
	}
	if size := m.Memory().Size(); size != first || size > 4<<20 {
		t.Errorf("%d bytes of memory after 100,000 records, %d after the first 10,000", size, first)
	}
}
