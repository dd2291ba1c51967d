package gridfs_test

import (
	"testing"

	"github.com/waybill-dev/waybill/pipeline"
	"github.com/waybill-dev/waybill/pipeline/pipelinetest"
	"github.com/waybill-dev/waybill/stages/internal/mongoconn"
	"github.com/waybill-dev/waybill/stages/store"
)

// The stage store keeps its promises over a bucket, and over a folder and a bucket.
func TestStoreStage(t *testing.T) {
	b := newBucket(t)
	pipelinetest.Exercise(t, store.Def(), pipelinetest.Config("to: "+b.url))
	pipelinetest.Exercise(t, store.Def(), pipelinetest.Config("to: [file:a, '"+b.url+"']\ncopies: 2"))
}

// A list of places of both kinds, as blob and verify take it.
func TestMixedList(t *testing.T) {
	b, dir := newBucket(t), t.TempDir()
	list := "file:objects," + b.url
	put(t, b.open(t, mongoconn.Settings{}), large("a"))
	for _, d := range store.Drivers() {
		o, err := d.Open(t.Context(), list, dir, true)
		if err != nil {
			t.Fatalf("%s: %v", d.Scheme, err)
		}
		defer o.Close()
		if n, err := o.Put(t.Context(), []pipeline.Blob{large("a")}); n != 2 || err != nil {
			t.Errorf("%s: %d copies, %v", d.Scheme, n, err)
		}
		checks, err := o.Check(t.Context(), large("a").Digest)
		if err != nil || len(checks) != 2 || checks[0].State != "ok" || checks[1].State != "ok" {
			t.Errorf("%s: %+v, %v", d.Scheme, checks, err)
		}
	}
}
