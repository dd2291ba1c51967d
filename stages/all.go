// Package stages lists the built-in stages and drivers as plain values. It is
// the only place that knows them all; main hands them to the command line, and
// a binary with fewer or more stages lists its own.
package stages

import (
	"github.com/waybill-dev/waybill/pipeline"
	"github.com/waybill-dev/waybill/stages/claim"
	"github.com/waybill-dev/waybill/stages/claim/cron"
	"github.com/waybill-dev/waybill/stages/claim/dir"
	"github.com/waybill-dev/waybill/stages/claim/file"
	"github.com/waybill-dev/waybill/stages/claim/http"
	"github.com/waybill-dev/waybill/stages/claim/mongodb"
	"github.com/waybill-dev/waybill/stages/claim/nats"
	"github.com/waybill-dev/waybill/stages/claim/sqlite"
	"github.com/waybill-dev/waybill/stages/claim/stdin"
	"github.com/waybill-dev/waybill/stages/distribute"
	"github.com/waybill-dev/waybill/stages/execute"
	"github.com/waybill-dev/waybill/stages/send"
	"github.com/waybill-dev/waybill/stages/split"
	"github.com/waybill-dev/waybill/stages/store"
	"github.com/waybill-dev/waybill/stages/transform"
	"github.com/waybill-dev/waybill/stages/witness"
)

// All returns the definitions of all built-in stages, in the order in which
// they usually stand in a pipeline.
func All() []pipeline.Def {
	return []pipeline.Def{
		claim.Def(Queues(), Stores()...),
		distribute.Def(),
		execute.Def(),
		transform.Def(),
		split.Def(),
		send.Def(),
		store.Def(Stores()...),
		witness.Def(),
	}
}

// Queues returns the drivers of queues and one-shot inputs.
func Queues() []pipeline.QueueDriver {
	return []pipeline.QueueDriver{sqlite.Driver(), mongodb.Driver(), nats.Driver(), file.Driver(), stdin.Driver(), dir.Driver(), http.Driver(), cron.Driver()}
}

// Stores returns the drivers of object stores.
func Stores() []pipeline.ObjectDriver { return store.Drivers() }

// Verifier returns the verifier of receipts over all object stores.
func Verifier() pipeline.Verifier { return witness.Verifier(Stores()...) }

// Importer returns what turns recordings of a browser into steps.
func Importer() pipeline.Importer { return execute.Import }

// Probes returns the checks of what the stages need from the machine.
func Probes() []pipeline.Probe { return []pipeline.Probe{execute.Probe()} }
