package cli

import (
	"context"
	"encoding/json"
	"slices"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/waybill-dev/waybill/pipeline"
)

// objects is a store whose bytes can be anything, also what no honest store
// would return.
type objects map[pipeline.Digest][]byte

func (o objects) Close() error                                           { return nil }
func (o objects) Put(context.Context, []pipeline.Blob) (int, error)      { panic("blob commands only read") }
func (o objects) Has(_ context.Context, d pipeline.Digest) (bool, error) { return o[d] != nil, nil }
func (o objects) Get(_ context.Context, d pipeline.Digest) ([]byte, error) {
	if o[d] == nil {
		return nil, pipeline.ErrNotFound
	}
	return o[d], nil
}

func (o objects) List(_ context.Context, yield func(pipeline.ObjectInfo) bool) error {
	var all []pipeline.Digest
	for d := range o {
		all = append(all, d)
	}
	slices.Sort(all)
	for _, d := range all {
		if !yield(pipeline.ObjectInfo{Digest: d, Size: int64(len(o[d])), Place: "p1"}) {
			break
		}
	}
	return nil
}

func (o objects) Check(_ context.Context, d pipeline.Digest) ([]pipeline.ObjectCheck, error) {
	c := pipeline.ObjectCheck{ObjectInfo: pipeline.ObjectInfo{Digest: d, Place: "p1"}, State: "ok"}
	if o[d] == nil {
		c.State = "missing"
	} else if found := pipeline.DigestOf(o[d]); found != d {
		c.State, c.Found = "corrupt", found
	}
	other := c
	other.Place, other.State = "p2", "missing"
	return []pipeline.ObjectCheck{c, other}, nil
}

func blobParts(o objects) Parts {
	return Parts{Objects: []pipeline.ObjectDriver{{Scheme: "file", Open: func(context.Context, string, string, bool) (pipeline.Objects, error) { return o, nil }}}}
}

func TestBlobGet(t *testing.T) {
	d := pipeline.DigestOf([]byte("hello"))
	twin := pipeline.Digest(string(d)[:70] + "0")
	o := objects{d: []byte("hello")}
	get := func(name string) result { return run(t, blobParts(o), "", "blob", "get", "--store", "file:x", name) }
	for _, name := range []string{string(d), d.Hex()[:8], "sha256:" + d.Hex()[:12]} {
		if r := get(name); r.code != 0 || r.stdout != "hello" {
			t.Errorf("get %s: %+v", name, r)
		}
	}
	o[twin] = []byte("other")
	for name, want := range map[string]int{
		d.Hex()[:12]: exitProblem, // ambiguous now
		d.Hex()[:7]:  exitProblem, // too short
		"../../etc":  exitProblem,
		string(pipeline.DigestOf([]byte("absent"))): exitProblem,
		string(twin): exitFailed, // corrupt
	} {
		if r := get(name); r.code != want || r.stdout != "" || r.stderr == "" {
			t.Errorf("get %s: %+v, want exit %d and nothing on stdout", name, r, want)
		}
	}
}

func TestBlobVerify(t *testing.T) {
	good := pipeline.DigestOf([]byte("good"))
	bad := pipeline.DigestOf([]byte("bad"))
	o := objects{good: []byte("good")}
	verify := func(args ...string) (result, blobReport) {
		r := run(t, blobParts(o), "", append([]string{"blob", "verify", "--store", "file:x", "--json"}, args...)...)
		var report blobReport
		if err := json.Unmarshal([]byte(r.stdout), &report); err != nil {
			t.Fatalf("%+v: %v", r, err)
		}
		return r, report
	}
	// A place without a copy is fine as long as another has one.
	if r, report := verify(); r.code != 0 || report.OK != 1 || len(report.Failed) != 0 {
		t.Errorf("intact: %+v", r)
	}
	o[bad] = []byte("flipped")
	r, report := verify()
	if r.code != exitFailed || report.Objects != 2 || len(report.Failed) != 2 {
		t.Fatalf("corrupt: %+v", r)
	}
	want := pipeline.ObjectCheck{ObjectInfo: pipeline.ObjectInfo{Digest: bad, Place: "p1"}, State: "corrupt", Found: pipeline.DigestOf([]byte("flipped"))}
	if d := cmp.Diff(want, report.Failed[0]); d != "" {
		t.Error(d)
	}
	absent := string(pipeline.DigestOf([]byte("absent")))
	if r, _ := verify(absent); r.code != exitFailed {
		t.Errorf("an absent object verifies: %+v", r)
	}
}

func TestBlobLs(t *testing.T) {
	d := pipeline.DigestOf([]byte("hello"))
	r := run(t, blobParts(objects{d: []byte("hello")}), "", "blob", "ls", "--store", "file:x", "--json")
	if want := `{"digest":"` + string(d) + `","size":5,"place":"p1"}` + "\n"; r.stdout != want {
		t.Errorf("%q, want %q", r.stdout, want)
	}
}
