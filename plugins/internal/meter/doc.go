// Package meter makes a WebAssembly module that pays for what it does.
//
// What comes in: a core module of specification 2.0. What goes out: a module
// that computes the same, but counts its work in a global and calls the host
// when the count runs below zero; or a Refusal that lists every function whose
// shape would take a compiler too long. It compiles and runs nothing.
//
// # Fuel
//
// One unit is one instruction; as in wasmtime, block, loop, end, else, nop and
// drop are free. Work that depends on a length costs more: filling and copying
// memory one unit per 16 bytes, tables one per entry, growing the memory 1024
// per page. What an execution is charged is a function of the module and its
// input alone, never of time, machine or other instances.
//
// The count is taken at function entries and loop heads, where it is also
// checked: without passing one of these no code can run for longer than one way
// through one function, which Caps bounds. A charge pays for the code up to the
// next charge, before it runs. Code under a condition is paid for where it
// begins, unless it is short: then whoever could have reached it pays (see
// mergeLimit). So the charge is never less than the instructions executed, and
// seldom much more.
//
// # What changes
//
// One import (ImportModule, ImportYield) takes the first free function index,
// so all functions of the module's own move up by one; one global is added
// behind all others. Both, and every mutable global, are exported under names
// that begin with Prefix. Names of functions are kept, and those without are
// named by their original index, so that stacks read as if nothing had changed.
// Other custom sections are dropped: debug information would point beside the
// code. Tables get a maximum.
//
// The module must not already use what is added: a reference to an index that
// exists only afterwards is refused, for else a guest could fill its own tank.
//
// Bound is for runs without fuel (a replay that is to name source lines): it
// leaves the code alone and only keeps the engine from making room for what a
// module merely announces.
package meter
