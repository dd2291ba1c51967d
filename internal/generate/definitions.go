package main

import (
	"github.com/waybill-dev/waybill/pipeline"
	"github.com/waybill-dev/waybill/plugins"
	"github.com/waybill-dev/waybill/stages"
)

// definitions lists the stages of the waybill binary, like its main.
func definitions() []pipeline.Def { return append(stages.All(), plugins.Def()) }
