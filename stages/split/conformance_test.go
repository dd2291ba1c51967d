package split

import (
	"testing"

	"github.com/waybill-dev/waybill/pipeline"
	"github.com/waybill-dev/waybill/pipeline/pipelinetest"
)

func TestConformance(t *testing.T) {
	pipelinetest.Exercise(t, Def(), pipelinetest.Config("each: item.body.list\nlimit: 5"),
		pipelinetest.NewItem(func() *pipeline.Item {
			return pipelinetest.Item(map[string]any{"list": []any{1, "two", nil}})
		}),
		pipelinetest.BadItem(func() *pipeline.Item { return pipelinetest.Item(map[string]any{"list": 1}) }))
}
