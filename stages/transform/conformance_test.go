package transform

import (
	"testing"

	"github.com/waybill-dev/waybill/pipeline"
	"github.com/waybill-dev/waybill/pipeline/pipelinetest"
)

func TestConformance(t *testing.T) {
	pipelinetest.Exercise(t, Def(),
		pipelinetest.Config("body: { twice: \"${{ item.body.n * 2 }}\" }\nmeta: { n: \"${{ item.body.n }}\" }\nremove: [ meta.old ]"),
		pipelinetest.BadItem(func() *pipeline.Item { return pipelinetest.Item("no number") }))
}
