package main

import (
	"github.com/waybill-dev/waybill/pipeline"
	"github.com/waybill-dev/waybill/plugins"
	"github.com/waybill-dev/waybill/stages/claim"
	"github.com/waybill-dev/waybill/stages/distribute"
	"github.com/waybill-dev/waybill/stages/execute"
	"github.com/waybill-dev/waybill/stages/send"
	"github.com/waybill-dev/waybill/stages/split"
	"github.com/waybill-dev/waybill/stages/store"
	"github.com/waybill-dev/waybill/stages/transform"
	"github.com/waybill-dev/waybill/stages/witness"
)

// definitions lists the stages of the waybill binary.
func definitions() []pipeline.Def {
	return []pipeline.Def{
		claim.Def(), distribute.Def(), execute.Def(), plugins.Def(), transform.Def(), split.Def(),
		send.Def(), store.Def(), witness.Def(),
	}
}
