package host

import (
	"context"
	"testing"

	"github.com/waybill-dev/waybill/plugins/internal/k1"
	w "github.com/waybill-dev/waybill/plugins/internal/wasmtest"
)

// benchmarkCall is what the host adds to a guest that does nothing but keep one
// record: frame, account, call, answer. The instance is reused as its kernel
// allows, or put back before each call.
func benchmarkCall(b *testing.B, reuse bool) {
	o := options(w.Guest{Answer: w.KeepFirst()}.Bytes())
	o.Reuse = reuse
	i, err := compile(b, o).Start(context.Background())
	if err != nil {
		b.Fatal(err)
	}
	defer i.Close()
	batch, err := k1.NewBatch([]k1.Record{{Value: make([]byte, 100)}})
	if err != nil {
		b.Fatal(err)
	}
	var ops []k1.Op
	b.ReportAllocs()
	for b.Loop() {
		if ops, err = i.Run(context.Background(), ops[:0], batch); err != nil {
			b.Fatal(err)
		}
	}
}

func BenchmarkCallReused(b *testing.B)  { benchmarkCall(b, true) }
func BenchmarkCallPutBack(b *testing.B) { benchmarkCall(b, false) }
