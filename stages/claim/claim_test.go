package claim_test

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/waybill-dev/waybill/pipeline"
	"github.com/waybill-dev/waybill/stages/claim"
	"github.com/waybill-dev/waybill/stages/claim/cron"
	"github.com/waybill-dev/waybill/stages/claim/dir"
	"github.com/waybill-dev/waybill/stages/claim/file"
	"github.com/waybill-dev/waybill/stages/claim/http"
	"github.com/waybill-dev/waybill/stages/claim/sqlite"
	"github.com/waybill-dev/waybill/stages/claim/stdin"
	"github.com/waybill-dev/waybill/stages/store"
)

var drivers = []pipeline.QueueDriver{sqlite.Driver(), file.Driver(), stdin.Driver(), dir.Driver(), http.Driver(), cron.Driver()}

// load checks a pipeline with this claim and returns its plan.
func load(t *testing.T, dir, config string) (*pipeline.Plan, pipeline.Problems) {
	t.Helper()
	src := "waybill: v1\nname: test\nstages:\n  - claim: " + config + "\n"
	return pipeline.Load(filepath.Join(dir, "p.yaml"), []byte(src), pipeline.NewSet(claim.Def(drivers, store.Drivers()...)))
}

func TestProblems(t *testing.T) {
	for config, want := range map[string]string{
		"{ from: 'sqlite:q.db', lease: 30s }":         "",
		"{ from: 'file:x.csv', format: csv }":         "",
		"{ queue: a }":                                "missing-key",
		"{ from: 'sqlite:q.db', lanes: leased }":      "",
		"{ from: 'file:x.csv', lanes: leased }":       "bad-value",
		"{ from: 'sqlite:q.db', lanes: all }":         "bad-value",
		"{ from: q.db }":                              "bad-url",
		"{ from: 'mongo:x' }":                         "unknown-scheme",
		"{ from: 'sqlite:' }":                         "bad-url",
		"{ from: 'sqlite:q.db', lease: 10ms }":        "out-of-range",
		"{ from: 'sqlite:q.db', queue: ' ' }":         "bad-value",
		"{ from: 'sqlite:q.db', format: csv }":        "bad-value",
		"{ from: 'sqlite:q.db', checkpoint: x }":      "bad-value",
		"{ from: 'file:x.csv', format: xml }":         "bad-value",
		"{ from: 'sqlite:q.db', drivers: [] }":        "unknown-key",
		"{ from: 'sqlite:q.db', lease: soon }":        "bad-duration",
		"{ from: 'sqlite:q.db', queues: [a], b: 1 }":  "unknown-key",
		"{ from: 'file:x.jsonl', checkpoint: 'a.b' }": "",
		"{ from: 'file:x', format: raw }":             "bad-format",
		"{ from: 'file:' }":                           "bad-url",
		"{ from: stdin }":                             "",
		"{ from: 'stdin?format=lines' }":              "",
		"{ from: 'stdin:', format: lines }":           "",
		"{ from: stdin, checkpoint: x }":              "bad-value",
		"{ from: stdins }":                            "bad-url",
		"{ from: sqlite }":                            "bad-url",
		"{ from: dir }":                               "bad-url",
		"{ from: 'dir:inbox?glob=*.html&move=done' }": "",
		"{ from: 'dir:inbox?golb=*.html' }":           "bad-url",
		"{ from: 'dir:inbox', format: lines }":        "bad-value",
		"{ from: 'cron:0 3 * * *' }":                  "",
		"{ from: 'cron:@daily?tz=Europe/Berlin' }":    "",
		"{ from: 'cron:0 25 * * *' }":                 "bad-schedule",
		"{ from: 'cron:0 3 * * *', token: x }":        "bad-value",
		"{ from: 'http:127.0.0.1:80/x', token: x }":   "",
		"{ from: 'http:127.0.0.1:80', format: raw }":  "",
		"{ from: 'http:0.0.0.0:80/x' }":               "not-loopback",
		"{ from: stdin, bodies: 'file:objects' }":     "",
		"{ from: 'sqlite:q.db', bodies: objects }":    "bad-url",
	} {
		_, problems := load(t, t.TempDir(), config)
		switch {
		case want == "" && len(problems) > 0:
			t.Errorf("%s: %v", config, problems)
		case want != "" && (len(problems) == 0 || problems[0].Code != want):
			t.Errorf("%s: %v, want %s", config, problems, want)
		}
		if want == "unknown-scheme" && len(problems) > 0 && !strings.Contains(problems[0].Hint, "sqlite:FILE") {
			t.Errorf("%s: the hint %q does not list the known schemes", config, problems[0].Hint)
		}
	}
}

func TestBuild(t *testing.T) {
	dir := t.TempDir()
	ctx := context.Background()
	o := pipeline.QueueOptions{Dir: dir, Queue: "pages", Create: true}
	q, err := claim.Open(ctx, drivers, "sqlite:var/q.db", o)
	if err != nil {
		t.Fatal(err)
	}
	defer q.(pipeline.Queue).Close()
	if _, err := q.(pipeline.Queue).Enqueue(ctx, []pipeline.NewItem{{ID: "a"}}); err != nil {
		t.Fatal(err)
	}
	plan, problems := load(t, dir, "{ from: 'sqlite:var/q.db', queue: pages, lease: 7s }")
	if len(problems) > 0 {
		t.Fatal(problems)
	}
	env := pipeline.Env{Dir: dir, Run: pipeline.RunInfo{ID: "run-1", MaxAttempts: 3}}
	made, err := plan.Stages[0].Build(ctx, env)
	if err != nil {
		t.Fatal(err)
	}
	src := made.(interface { // what the driver can do, the stage can do
		pipeline.Queue
		pipeline.QueueTools
		pipeline.Records
		pipeline.Waker
	})
	defer src.Close()
	if src.Wakes() == nil {
		t.Error("the queue's wakes are hidden")
	}
	items, err := src.Claim(ctx, 5)
	if err != nil || len(items) != 1 || src.Lease().Seconds() != 7 {
		t.Fatalf("claimed %d with a lease of %v, error %v", len(items), src.Lease(), err)
	}
	if e, err := src.Show(ctx, "a"); err != nil || e.Owner != "run-1" {
		t.Errorf("the owner is %q, error %v; want run-1", e.Owner, err)
	}
}

func TestAbsentQueue(t *testing.T) {
	dir := t.TempDir()
	plan, problems := load(t, dir, "{ from: 'sqlite:var/q.db', queue: pages }")
	if len(problems) > 0 {
		t.Fatal(problems)
	}
	made, err := plan.Stages[0].Build(context.Background(), pipeline.Env{Dir: dir})
	if made != nil && err == nil || !errors.Is(err, pipeline.ErrNoQueue) {
		t.Fatalf("made %v, error %v; want ErrNoQueue", made, err)
	}
	for _, want := range []string{"sqlite:var/q.db", `"pages"`, "waybill enqueue --to sqlite:var/q.db --queue pages"} {
		if !strings.Contains(err.Error(), want) {
			t.Errorf("error %q does not say %q", err, want)
		}
	}
	if _, err := os.Stat(filepath.Join(dir, "var")); err == nil {
		t.Error("a run that found no queue made a folder")
	}
}

func TestOpenUnknown(t *testing.T) {
	for url, code := range map[string]string{"mongo:x": "unknown-scheme", "plain.db": "bad-url"} {
		_, err := claim.Open(context.Background(), drivers, url, pipeline.QueueOptions{})
		if pipeline.CodeOf(err) != code || !strings.Contains(err.Error(), "file:PATH") {
			t.Errorf("%s: error %v, want %s and the known schemes", url, err, code)
		}
	}
}
