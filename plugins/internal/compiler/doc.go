// Package compiler turns metered modules into machine code and keeps it on disk.
//
// What comes in: the bytes of a metered module, and the limits within which it
// has to compile. What goes out: a wazero.CompilationCache from which a runtime
// loads that module without compiling anything. It does not know kernels, calls
// or fuel.
//
// # Why a child process
//
// A compiler cannot be interrupted: wazero ignores the context that it is given,
// and what it allocates counts as the program's own. The shape limits of package
// meter keep a single function from taking seconds, but a module of 16 MiB has
// room for many that take long. So a module that the store does not have is
// compiled in a process of its own (parent.go, child.go), which is killed at a
// deadline, may use so much memory and CPU time and no more, and leaves nothing
// but a file. Only programs whose main calls Child can do that, because the
// child is the same program started again; others compile in their own process,
// with the shape limits as their only protection.
//
// # What is on disk
//
// The store (store.go) has a folder for each module, named by a digest of the
// metered bytes, the engine's version and the processor's features. In it are
// wazero's files and SHA256SUMS, in the format of sha256sum. Machine code is as
// trusted as the program itself, so that the store must be a folder of our own
// with mode 0700, and every file must have its digest before it is loaded: wazero
// itself checks a CRC of the code and nothing else. A folder that fails the check
// is removed and its module compiled anew, with a warning. The digests find
// damage; against somebody who can write into the folder only its mode helps.
//
// A module is compiled into a draft folder that is renamed when it is complete.
// A crash at any time leaves a complete folder, or a draft that a later run
// sweeps.
package compiler
