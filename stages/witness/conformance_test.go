package witness

import (
	"testing"

	"github.com/waybill-dev/waybill/pipeline"
	"github.com/waybill-dev/waybill/pipeline/pipelinetest"
)

func TestConformance(t *testing.T) {
	pipelinetest.Exercise(t, Def(), pipelinetest.Config("log: file:log\nkey: file:keys/witness.key\norigin: example.com/log"),
		pipelinetest.BadItem(func() *pipeline.Item {
			it := pipelinetest.Item("x")
			for range 1000 {
				it.Outputs = append(it.Outputs, pipeline.Output{Name: "body", Digest: pipeline.DigestOf(nil)})
			}
			return it
		}))
}

func TestConfigProblems(t *testing.T) {
	source := pipelinetest.SourceDef(pipelinetest.NewSource())
	for config, want := range map[string]string{
		"{ log: var/log, key: file:k }":                   "bad-url",
		"{ log: file:log, key: ssh-agent:x }":             "bad-url",
		"{ log: file:log, key: file:k, origin: a+b }":     "bad-name",
		"{ log: file:log, key: file:k, origin: \"a b\" }": "bad-name",
	} {
		text := "waybill: v1\nname: x\nstages:\n  - source:\n  - witness: " + config + "\n"
		_, problems := pipeline.Load(t.TempDir()+"/p.yaml", []byte(text), pipeline.NewSet(source, Def()))
		if len(problems) != 1 || problems[0].Code != want || problems[0].Line != 5 {
			t.Errorf("%s: want %s, got:\n%v", config, want, problems)
		}
	}
}
