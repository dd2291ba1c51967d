package witness

import (
	"context"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/waybill-dev/waybill/pipeline"
	"github.com/waybill-dev/waybill/stages/internal/cas"
)

// fixedTime is when everything happens in these tests.
var fixedTime = time.Date(2026, 3, 14, 15, 9, 26, 0, time.UTC)

const testSource = `{"name":"test","waybill":"v1"}`

// rig is a witness and an object store in a folder.
type rig struct {
	dir     string
	objects pipeline.Objects
	stage   *Stage
}

func (r *rig) log() string   { return filepath.Join(r.dir, "log") }
func (r *rig) store() string { return filepath.Join(r.dir, "objects") }

func newRig(t testing.TB, dir string) *rig {
	t.Helper()
	r := &rig{dir: dir}
	var err error
	r.objects, err = cas.Open(t.Context(), []pipeline.ObjectDriver{cas.Driver()}, []string{"file:" + r.store()}, "", 2, true)
	if err != nil {
		t.Fatal(err)
	}
	r.stage = newStage(t, dir, Config{})
	if err := r.stage.Start(t.Context()); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { r.stage.Close(); r.objects.Close() })
	return r
}

func newStage(t testing.TB, dir string, cfg Config) *Stage {
	t.Helper()
	cfg.Log, cfg.Key = "file:log", "file:keys/witness.key"
	s, err := New(t.Context(), cfg, pipeline.Env{Dir: dir, Run: pipeline.RunInfo{
		ID: "run-1", Pipeline: "test", Source: []byte(testSource), Digest: pipeline.DigestOf([]byte(testSource)),
		Version: "v0.0.0-test", MaxAttempts: 4,
	}})
	if err != nil {
		t.Fatal(err)
	}
	s.now = func() time.Time { return fixedTime }
	return s
}

// item makes an item whose output is in the store.
func (r *rig) item(t testing.TB, id string) *pipeline.Item {
	t.Helper()
	it := &pipeline.Item{
		ID: id, Queue: "pages", Key: "example.com", Attempt: 1, Token: 7, Enqueued: fixedTime.Add(-time.Minute), Started: fixedTime.Add(-time.Second),
		Input: []byte(`{ "url": "http://127.0.0.1/` + id + `" }`),
		Trace: pipeline.TraceContext{Parent: "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"},
		Steps: []pipeline.StepRecord{{Stage: "store", Kind: "store", Result: "ok", Elapsed: time.Millisecond, Spent: map[string]int64{"io": 12}}},
	}
	it.DependOn(pipeline.Dependency{Name: "kernel", URI: "file:k.wasm", MediaType: "application/wasm", Digest: pipeline.DigestOf([]byte("kernel"))})
	data := []byte("result of " + id)
	d := pipeline.DigestOf(data)
	n, err := r.objects.Put(t.Context(), []pipeline.Blob{{Digest: d, Data: data}})
	if err != nil {
		t.Fatal(err)
	}
	it.Outputs = []pipeline.Output{{Name: "body", MediaType: "text/plain", Digest: d, Size: int64(len(data)), Copies: n}}
	return it
}

// receiptPath is where the receipt of an item without a parent is.
func receiptPath(queue, item string) string { return External{Queue: queue, Item: item}.path() }

// witness runs a batch of new items through the stage.
func (r *rig) witness(t testing.TB, ids ...string) []*pipeline.Item {
	t.Helper()
	var items []*pipeline.Item
	for _, id := range ids {
		items = append(items, r.item(t, id))
	}
	for i, err := range r.stage.ProcessBatch(t.Context(), items) {
		if err != nil {
			t.Fatalf("item %s: %v", ids[i], err)
		}
	}
	return items
}

// ids makes n item ids.
func ids(prefix string, n int) []string {
	out := make([]string, n)
	for i := range out {
		out[i] = fmt.Sprintf("%s-%d", prefix, i)
	}
	return out
}

func verify(t testing.TB, r pipeline.VerifyRequest) []pipeline.Verdict {
	t.Helper()
	var all []pipeline.Verdict
	if err := Verifier()(context.Background(), r, func(v pipeline.Verdict) { all = append(all, v) }); err != nil {
		t.Fatalf("verify: %v", err)
	}
	return all
}

func (r *rig) request() pipeline.VerifyRequest {
	return pipeline.VerifyRequest{Log: "file:" + r.log(), Store: "file:" + r.store()}
}

// wantAll fails unless every verdict is ok and there is one per receipt and one for
// the log.
func wantAll(t testing.TB, verdicts []pipeline.Verdict, receipts int) {
	t.Helper()
	for _, v := range verdicts {
		if !v.OK {
			t.Errorf("%s: %s: %s", v.Subject, v.Failed, v.Detail)
		}
	}
	if len(verdicts) != receipts+1 {
		t.Errorf("%d verdicts, want %d receipts and the log", len(verdicts), receipts)
	}
}

// failures returns the links that verdicts name, by subject.
func failures(verdicts []pipeline.Verdict) map[string]bool {
	links := map[string]bool{}
	for _, v := range verdicts {
		if !v.OK {
			links[v.Failed] = true
		}
	}
	return links
}

// files lists all regular files below dir.
func files(t testing.TB, dir string) []string {
	t.Helper()
	var all []string
	err := filepath.WalkDir(dir, func(path string, d fs.DirEntry, err error) error {
		if err == nil && !d.IsDir() {
			all = append(all, path)
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return all
}

func writeFile(t testing.TB, path string, data []byte) {
	t.Helper()
	if err := os.Chmod(path, 0o644); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(path, data, 0o644); err != nil {
		t.Fatal(err)
	}
}
