//go:build wasip1

package kernel

import "unsafe"

//go:wasmimport kernel/1 log
func importLog(level uint32, ptr unsafe.Pointer, n uint32)

//go:wasmimport kernel/1 fail
func importFail(code int32, ptr unsafe.Pointer, n uint32)

//go:wasmimport kernel/1 counter
func importCounter(id uint32, delta int64)

//go:wasmimport kernel/1 http
func importHTTP(ptr unsafe.Pointer, n uint32, buf unsafe.Pointer, size uint32) int64

//go:wasmimport kernel/1 blob
func importBlob(ptr unsafe.Pointer, n uint32, buf unsafe.Pointer, size uint32) int64

//go:wasmimport kernel/1 secret
func importSecret(ptr unsafe.Pointer, n uint32, buf unsafe.Pointer, size uint32) int64

//go:wasmimport kernel/1 state_get
func importStateGet(key unsafe.Pointer, n uint32, buf unsafe.Pointer, size uint32) int64

//go:wasmimport kernel/1 state_put
func importStatePut(key unsafe.Pointer, n uint32, value unsafe.Pointer, size uint32) int64

//go:wasmimport kernel/1 rest
func importRest(from uint32, buf unsafe.Pointer, size uint32) int64

func hostLog(level Level, s string) {
	importLog(uint32(level), unsafe.Pointer(unsafe.StringData(s)), uint32(len(s)))
}

func hostFail(code int32, s string) {
	importFail(code, unsafe.Pointer(unsafe.StringData(s)), uint32(len(s)))
}

func hostCounter(id uint32, delta int64) { importCounter(id, delta) }

func hostHTTP(request []byte) ([]byte, error) {
	return receive(func(buf []byte) int64 {
		return importHTTP(pointer(request), uint32(len(request)), pointer(buf), uint32(len(buf)))
	}, rest)
}

func hostBlob(digest string) ([]byte, error) {
	return receive(func(buf []byte) int64 {
		return importBlob(unsafe.Pointer(unsafe.StringData(digest)), uint32(len(digest)), pointer(buf), uint32(len(buf)))
	}, rest)
}

func hostSecret(name string) ([]byte, error) {
	return receive(func(buf []byte) int64 {
		return importSecret(unsafe.Pointer(unsafe.StringData(name)), uint32(len(name)), pointer(buf), uint32(len(buf)))
	}, rest)
}

func hostState(key string) ([]byte, error) {
	return receive(func(buf []byte) int64 {
		return importStateGet(unsafe.Pointer(unsafe.StringData(key)), uint32(len(key)), pointer(buf), uint32(len(buf)))
	}, rest)
}

func hostPutState(key string, value []byte) error {
	code := importStatePut(unsafe.Pointer(unsafe.StringData(key)), uint32(len(key)), pointer(value), uint32(len(value)))
	if code < 0 {
		return failed(code, rest)
	}
	return nil
}

func rest(from int, buf []byte) int64 {
	return importRest(uint32(from), pointer(buf), uint32(len(buf)))
}

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

func pointer(b []byte) unsafe.Pointer { return unsafe.Pointer(unsafe.SliceData(b)) }

func address(b []byte) uint32 { return uint32(uintptr(pointer(b))) }

// received returns what the host wrote into the buffer. The host writes nowhere
// else, so this is a slice of our own and a wrong pointer is a panic.
func received(ptr, n uint32) []byte {
	at := ptr - address(module.buffer)
	return module.buffer[at : at+n : at+n]
}
