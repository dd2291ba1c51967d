//go:build wasip1

package kernel

import "unsafe"

//go:wasmimport kernel/1 log
func importLog(level uint32, ptr unsafe.Pointer, n uint32)

//go:wasmimport kernel/1 fail
func importFail(code int32, ptr unsafe.Pointer, n uint32)

//go:wasmimport kernel/1 counter
func importCounter(id uint32, delta int64)

func hostLog(level Level, s string) {
	importLog(uint32(level), unsafe.Pointer(unsafe.StringData(s)), uint32(len(s)))
}

func hostFail(code int32, s string) {
	importFail(code, unsafe.Pointer(unsafe.StringData(s)), uint32(len(s)))
}

func hostCounter(id uint32, delta int64) { importCounter(id, delta) }

// align is what the ABI asks of the input buffer.
const align = 16

//go:wasmexport k1_abi
func k1ABI() int64 { return 0 }

//go:wasmexport k1_buffer
func k1Buffer(least uint32) uint32 {
	if uint64(len(module.buffer)) < uint64(least)+align {
		module.buffer = nil // the old one may be collected before the new one is made
		module.buffer = make([]byte, uint64(least)+align)
	}
	return (address(module.buffer) + align - 1) &^ (align - 1)
}

//go:wasmexport k1_init
func k1Init(ptr, n uint32) int64 {
	return configure(append([]byte(nil), received(ptr, n)...))
}

//go:wasmexport k1_run
func k1Run(ptr, n uint32) int64 {
	out, code := runBatch(received(ptr, n))
	if code < 0 {
		return code
	}
	return int64(address(out))<<32 | int64(len(out))
}

func address(b []byte) uint32 { return uint32(uintptr(unsafe.Pointer(unsafe.SliceData(b)))) }

// received returns what the host wrote into the buffer. The host writes nowhere
// else, so this is a slice of our own and a wrong pointer is a panic.
func received(ptr, n uint32) []byte {
	at := ptr - address(module.buffer)
	return module.buffer[at : at+n : at+n]
}
