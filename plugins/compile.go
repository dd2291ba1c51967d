package plugins

import "github.com/waybill-dev/waybill/plugins/internal/compiler"

// CompileInChild lets this process compile kernels in a child process: the same
// program started again, with a deadline of 60 s and a limit of 1 GiB. It must be
// the first thing that main does, before flags are parsed or files are opened,
// because in the child it does not return.
//
//	func main() {
//		plugins.CompileInChild()
//		...
//	}
//
// A program that does not call it compiles kernels in its own process, where
// nothing can stop a compiler that takes long or much memory; only the shape of
// a module is limited then. Call it if kernels come from others.
func CompileInChild() { compiler.Child() }
