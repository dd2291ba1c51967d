// Package toolchain compiles kernel projects with the toolchain of their
// language: it finds the compiler, knows the flags that make a small, fast and
// reproducible module, and says what to install where something is missing.
//
// What comes in: a project's folder. What goes out: a WebAssembly module, or a
// *Missing, or the compiler's own words. It attaches no manifest and runs no
// kernel. One file for each language.
package toolchain
