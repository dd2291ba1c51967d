// Package kernel is the Go SDK for Waybill kernels: WebAssembly modules that a
// pipeline runs over its items, sandboxed. It needs the standard toolchain and
// nothing else.
//
//	package main
//
//	import (
//		"bytes"
//
//		kernel "github.com/waybill-dev/waybill/plugins/sdk/go"
//	)
//
//	func init() { kernel.Serve(newUpper) }
//
//	func newUpper(config []byte) (kernel.Handler, error) {
//		return kernel.HandlerFunc(func(r *kernel.Record) error {
//			r.Put(bytes.ToUpper(r.Value()))
//			return nil
//		}), nil
//	}
//
//	func main() {}
//
// Build it as a reactor, reproducibly:
//
//	GOOS=wasip1 GOARCH=wasm go build -buildmode=c-shared -trimpath -buildvcs=false -o upper.wasm
//
// Leave the symbols in (no -ldflags=-s): they cost 2 % and name the functions
// of a trap's stack.
//
// Serve stands in init because a reactor's main never runs: the host calls
// _initialize, which initialises all packages, and then the exports (k1_init,
// k1_run, ...) that this package provides. main must exist and stays empty.
//
// For each record of a batch the handler is called once, in order, never two at
// a time. It answers with Keep, Slice or Put (any number of them: several make
// several items, none drops the record) or returns an error, which fails the
// record alone. A panic is a trap: the host throws the instance away, finds the
// record that did it and reports the panic's text and stack.
//
// Kernels are functions of their input. The clock stands still at Record.Time,
// and Record.Rand is seeded per record; both are the same on a retry, a replay
// and every machine. What time.Now and math/rand's own functions give inside a
// kernel depends on the other records of the batch and on earlier calls, and so
// does the order of a map: sort what you range over.
//
// HTTP, Blob, Secret and State reach what the pipeline grants; a module that
// calls none of them imports none of them, so there is nothing to grant.
//
// Try runs a handler in an ordinary test, through the same frames.
//
//   - handler.go, record.go, strings.go: what a kernel is written with
//   - capability.go: what needs a grant
//   - frame.go, writer.go: the frames of spec/kernel-abi.md, from the guest's side
//   - serve.go, abi_wasip1.go: the module's exports; abi_native.go, try.go,
//     host.go: the same in tests
package kernel
