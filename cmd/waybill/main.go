// Waybill runs pipelines that can prove what they did. A binary with other stages is a copy of this file.
package main

import (
	"os"

	"github.com/waybill-dev/waybill/plugins"
	"github.com/waybill-dev/waybill/runtime/cli"
	"github.com/waybill-dev/waybill/stages"
)

func main() {
	plugins.CompileInChild() // first: in a child process it does not return
	os.Exit(cli.Main(parts()))
}

func parts() cli.Parts {
	return cli.Parts{
		Defs:   append(stages.All(), plugins.Def()),
		Queues: stages.Queues(), Objects: stages.Stores(),
		Verify: stages.Verifier(), Kernels: plugins.Tools{}, Import: stages.Importer(), Probes: stages.Probes(),
	}
}
