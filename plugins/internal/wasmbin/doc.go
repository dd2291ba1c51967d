// Package wasmbin reads and writes the encoding of WebAssembly binaries, as far
// as core specification 2.0 goes: LEB128 numbers, names, vectors and the
// lengths of instructions. It knows no sections and validates no types.
package wasmbin
