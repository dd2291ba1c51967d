package pipeline_test

import (
	"path/filepath"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/waybill-dev/waybill/pipeline"
)

func TestFilePath(t *testing.T) {
	for url, want := range map[string]string{
		"file:var/x":         "dir/var/x",
		"file:./var//x":      "dir/var/x",
		"file:../x":          "x",
		"file:/var/x":        "/var/x",
		"file:///var/x":      "/var/x",
		"file://var/x":       "dir/var/x",
		"file:a b:c?d=1,e*":  "dir/a b:c?d=1,e*",
		"file:":              "",
		"file://":            "",
		"var/x":              "",
		"/var/x":             "",
		"":                   "",
		"FILE:x":             "",
		"sqlite:x":           "",
		"https://host/x.txt": "",
	} {
		got, err := pipeline.FilePath(url, "dir")
		if got != filepath.FromSlash(want) || (err != nil) != (want == "") {
			t.Errorf("%q is %q, %v; want %q", url, got, err, want)
		}
		if err != nil && (pipeline.CodeOf(err) != "bad-url" || pipeline.KindOf(err) != pipeline.Permanent) {
			t.Errorf("%q: %v (%s), want bad-url", url, err, pipeline.CodeOf(err))
		}
	}
}

func TestNewChild(t *testing.T) {
	parent := &pipeline.Item{ID: "p", Key: "k", Meta: map[string]string{"m": "1"}, Input: []byte("in"),
		Outputs: []pipeline.Output{{Name: "body"}}, Receipt: "sha256:00", Body: pipeline.JSONBody(1)}
	parent.DependOn(pipeline.Dependency{Name: "browser"})
	c := parent.NewChild(3)
	want := &pipeline.Item{ID: "p/3", Key: "k", Meta: map[string]string{"m": "1"}, Input: []byte("in"),
		Dependencies: []pipeline.Dependency{{Name: "browser"}}}
	if d := cmp.Diff(want, c, cmp.AllowUnexported(pipeline.Item{}, pipeline.Body{})); d != "" {
		t.Errorf("the child (-want +got):\n%s", d)
	}
	c.SetMeta("m", "2")
	c.DependOn(pipeline.Dependency{Name: "kernel"})
	if parent.Meta["m"] != "1" || len(parent.Dependencies) != 1 || len(parent.TakeEmitted()) != 0 {
		t.Error("the child shares what is its parent's, or was emitted")
	}
}

func TestCondemned(t *testing.T) {
	for code, err := range map[string]error{
		pipeline.CodeAttemptsExhausted: pipeline.AttemptsExhausted(3),
		pipeline.CodeDeadlineExceeded:  pipeline.DeadlineExceeded(time.Unix(0, 0)),
	} {
		if pipeline.CodeOf(err) != code || pipeline.KindOf(err) != pipeline.Permanent {
			t.Errorf("%v is %s, %s", err, pipeline.CodeOf(err), pipeline.KindOf(err))
		}
	}
}
