// Package hostile is a collection of WebAssembly modules that attack their host,
// and of how each of them has to end. It is what docs/hostile.md is made of; the
// tests of package plugins run every guest through the stage "kernel".
//
// A guest attacks at one of three points: when the module is read (check), when
// its first instance is made (start), or when it is given an item whose input is
// Attack. Guests of the last kind treat every other item well (Peace), so that a
// test can see that the stage goes on.
//
// What goes out: modules, limits to run them under, and the error code, with a
// part of its text, that each must end in. The package knows nothing of hosts; a
// new attack is a few lines in the file of its kind.
package hostile

//go:generate go run ./table ../../../docs/hostile.md
