package store_test

import (
	"fmt"
	"testing"

	"github.com/waybill-dev/waybill/pipeline"
	"github.com/waybill-dev/waybill/pipeline/pipelinetest"
	"github.com/waybill-dev/waybill/stages/store"
)

func TestConformance(t *testing.T) {
	pipelinetest.Exercise(t, store.Def(), pipelinetest.Config("to: file:objects"))
	pipelinetest.Exercise(t, store.Def(), pipelinetest.Config("to: [file:a, file:b]\ncopies: 2\nwhat: [body, page.png]"),
		pipelinetest.NewItem(func() *pipeline.Item {
			it := pipelinetest.Item("x")
			it.SetArtifact(pipeline.Artifact{Name: "page.png", Data: []byte("x")})
			return it
		}),
		pipelinetest.BadItem(func() *pipeline.Item { return pipelinetest.Item("x") }))
}

func TestConfigProblems(t *testing.T) {
	source := pipelinetest.SourceDef(pipelinetest.NewSource())
	for config, want := range map[string]string{
		"{}":                                  "7:5 missing-key",
		"{ to: s3:bucket }":                   "7:18 bad-url",
		"{ to: var/objects }":                 "7:18 bad-url",
		"{ to: [] }":                          "7:18 empty",
		"{ to: [file:a, file:a] }":            "7:18 duplicate",
		"{ to: file:a, copies: 0 }":           "7:34 out-of-range",
		"{ to: [file:a, file:b], copies: 3 }": "7:44 out-of-range",
		"{ to: { a: 1 } }":                    "7:18 wrong-type",
		// A database has copies of its own.
		"{ to: 'mongodb://h/db', copies: 2 }":                            "7:44 out-of-range",
		"{ to: 'mongodb://h' }":                                          "7:18 bad-url",
		"{ to: 'mongodb://h/db?waybill.bukket=x' }":                      "7:18 bad-url",
		"{ to: ['mongodb://a@h/db', 'mongodb://b@h/db?maxPoolSize=2'] }": "7:18 duplicate",
	} {
		text := "waybill: v1\nname: x\n\n\nstages:\n  - source:\n  - store: " + config + "\n"
		_, problems := pipeline.Load(t.TempDir()+"/p.yaml", []byte(text), pipeline.NewSet(source, store.Def()))
		got := ""
		if len(problems) > 0 {
			got = place(problems[0])
		}
		if len(problems) != 1 || got != want {
			t.Errorf("%s: want %s, got %s:\n%v", config, want, got, problems)
		}
	}
}

func place(p pipeline.Problem) string {
	return fmt.Sprintf("%d:%d %s", p.Line, p.Col, p.Code)
}
