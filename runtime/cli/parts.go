package cli

import (
	"context"
	"io"
	"os"

	"github.com/waybill-dev/waybill/pipeline"
)

// Parts is what a binary is made of.
type Parts struct {
	// Defs are the kinds of stages that pipeline files may use.
	Defs []pipeline.Def
	// Queues are the drivers behind enqueue and queue.
	Queues []pipeline.QueueDriver
	// Objects are the drivers behind blob.
	Objects []pipeline.ObjectDriver
	// Verify checks receipts; nil makes verify an error.
	Verify pipeline.Verifier
	// Kernels are the tools behind kernel; nil makes its commands errors.
	Kernels pipeline.KernelTools
	// Import is behind browser import; nil makes it an error.
	Import pipeline.Importer
	// Probes are further checks of doctor.
	Probes []pipeline.Probe
	// Version overrides the version from the build information.
	Version string
}

// Main runs the command line of this process and returns its exit code.
func Main(p Parts) int {
	return Run(context.Background(), p, os.Args[1:], os.Stdin, os.Stdout, os.Stderr)
}

// Run runs one command line with these streams and returns its exit code. The
// end of ctx has the effect of a second interrupt.
func Run(ctx context.Context, p Parts, args []string, stdin io.Reader, stdout, stderr io.Writer) int {
	a := &app{parts: p, stdin: stdin, stdout: stdout, stderr: stderr}
	root := a.root()
	root.SetArgs(args)
	root.SetIn(stdin)
	root.SetOut(stdout)
	root.SetErr(stderr)
	return a.finish(root.ExecuteContext(ctx))
}
