package send

import (
	"net/http"
	"net/http/httptest"
	"testing"

	"github.com/waybill-dev/waybill/pipeline"
	"github.com/waybill-dev/waybill/pipeline/pipelinetest"
)

func TestConformance(t *testing.T) {
	srv := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.Header.Get("Content-Type") != pipeline.MediaJSON {
			w.WriteHeader(http.StatusUnsupportedMediaType)
		}
	}))
	defer srv.Close()
	for name, config := range map[string]string{
		"file": "to: \"file:out.jsonl\"\nwhat: body",
		"http": "to: " + srv.URL + "\nwhat: body\nheaders: { X-A: b }\ntimeout: 5s",
	} {
		t.Run(name, func(t *testing.T) {
			pipelinetest.Exercise(t, Def(), pipelinetest.Config(config), pipelinetest.BadItem(func() *pipeline.Item {
				it := pipelinetest.Item(nil)
				it.Body = pipeline.RawBody([]byte{0xff, 0xfe}, pipeline.MediaBinary)
				return it
			}))
		})
	}
}

// Each mistake in a config is named at its key.
func TestConfigProblems(t *testing.T) {
	for config, path := range map[string]string{
		"to: out.jsonl":                                       "to",
		"to: \"ftp://example.com\"":                           "to",
		"to: stdout, what: all":                               "what",
		"to: stdout, headers: { A: b }":                       "headers",
		"to: stdout, trace: true":                             "trace",
		"to: \"http://example.com\", headers: { \"A b\": c }": "headers",
		"to: \"http://example.com\", method: \"GET /\"":       "method",
		"to: \"http://example.com\", expect: [ 200, 99 ]":     "expect[1]",
		"to: \"http://example.com\", timeout: 0s":             "timeout",
	} {
		src := "waybill: v1\nname: x\nstages:\n  - source: { }\n  - send: { " + config + " }\n"
		_, problems := pipeline.Load("x.yaml", []byte(src), pipeline.NewSet(pipelinetest.SourceDef(pipelinetest.NewSource()), Def()))
		if len(problems) != 1 || problems[0].Path != "stages[1].send."+path && path != "headers" {
			t.Errorf("%s: %v, want one problem at %s", config, problems, path)
		}
	}
}
