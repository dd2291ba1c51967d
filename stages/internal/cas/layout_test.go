package cas

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/waybill-dev/waybill/pipeline"
)

func blob(s string) pipeline.Blob {
	return pipeline.Blob{Digest: pipeline.DigestOf([]byte(s)), MediaType: "text/plain", Data: []byte(s)}
}

func open(t *testing.T, url, dir string, create bool) pipeline.Objects {
	t.Helper()
	o, err := Driver().Open(t.Context(), url, dir, create)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { o.Close() })
	return o
}

func objectFile(dir string, b pipeline.Blob) string {
	return filepath.Join(dir, "blobs", "sha256", b.Digest.Hex())
}

func overwrite(t *testing.T, path, content string) {
	t.Helper()
	if err := os.Chmod(path, 0o644); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(path, []byte(content), 0o644); err != nil {
		t.Fatal(err)
	}
}

func TestPutAndGet(t *testing.T) {
	dir := t.TempDir()
	o := open(t, "file:objects", dir, true)
	a, b := blob("a"), blob("")
	for range 2 { // the second time they are there already
		if n, err := o.Put(t.Context(), []pipeline.Blob{a, b, a}); n != 1 || err != nil {
			t.Fatalf("%d copies, %v", n, err)
		}
	}
	for _, want := range []pipeline.Blob{a, b} {
		got, err := o.Get(t.Context(), want.Digest)
		if err != nil || string(got) != string(want.Data) {
			t.Errorf("got %q, %v", got, err)
		}
	}
	var tree []string
	err := filepath.WalkDir(dir, func(path string, d os.DirEntry, err error) error {
		if err == nil && !d.IsDir() {
			rel, _ := filepath.Rel(dir, path)
			tree = append(tree, rel)
		}
		return err
	})
	want := []string{"objects/blobs/sha256/" + a.Digest.Hex(), "objects/blobs/sha256/" + b.Digest.Hex(),
		"objects/index.json", "objects/ingest/lock", "objects/oci-layout"}
	if diff := cmp.Diff(want, tree); diff != "" || err != nil {
		t.Error(err, diff)
	}
}

// Damage is reported, never overwritten, and never handed out.
func TestCorruptObject(t *testing.T) {
	dir := t.TempDir()
	o := open(t, "file:.", dir, true)
	a := blob("a")
	if _, err := o.Put(t.Context(), []pipeline.Blob{a}); err != nil {
		t.Fatal(err)
	}
	overwrite(t, objectFile(dir, a), "b")
	if _, err := o.Put(t.Context(), []pipeline.Blob{a}); !errors.Is(err, pipeline.ErrCorrupt) {
		t.Errorf("Put: %v", err)
	}
	if _, err := o.Get(t.Context(), a.Digest); !errors.Is(err, pipeline.ErrCorrupt) {
		t.Errorf("Get: %v", err)
	}
	checks, err := o.Check(t.Context(), a.Digest)
	if err != nil || checks[0].State != StateCorrupt || checks[0].Found != blob("b").Digest {
		t.Errorf("Check: %+v, %v", checks, err)
	}
	if got, _ := os.ReadFile(objectFile(dir, a)); string(got) != "b" {
		t.Errorf("somebody repaired the object to %q", got)
	}
	wrong := pipeline.Blob{Digest: a.Digest, Data: []byte("c")}
	if _, err := o.Put(t.Context(), []pipeline.Blob{wrong}); !errors.Is(err, pipeline.ErrCorrupt) {
		t.Errorf("Put of content under another's digest: %v", err)
	}
	if _, err := o.Get(t.Context(), blob("none").Digest); !errors.Is(err, pipeline.ErrNotFound) {
		t.Errorf("Get of nothing: %v", err)
	}
}

func TestReplicasOfOnePlace(t *testing.T) {
	dir := t.TempDir()
	a, b := blob("a"), blob("b")
	if n, err := open(t, "file:o?copies=3", dir, true).Put(t.Context(), []pipeline.Blob{a, b}); n != 3 || err != nil {
		t.Fatalf("%d copies, %v", n, err)
	}
	o := open(t, "file:o", dir, false) // as verify opens it
	overwrite(t, objectFile(filepath.Join(dir, "o"), a), "x")
	if err := os.Remove(objectFile(filepath.Join(dir, "o/replicas/2"), a)); err != nil {
		t.Fatal(err)
	}
	if got, err := o.Get(t.Context(), a.Digest); err != nil || string(got) != "a" {
		t.Errorf("Get with one good copy left: %q, %v", got, err)
	}
	checks, err := o.Check(t.Context(), a.Digest)
	if err != nil {
		t.Fatal(err)
	}
	states := map[string]string{}
	for _, c := range checks {
		states[c.Place] = c.State
	}
	want := map[string]string{"file:o": StateCorrupt, "file:o/replicas/2": StateMissing, "file:o/replicas/3": StateOK}
	if diff := cmp.Diff(want, states); diff != "" {
		t.Error(diff)
	}
	if has, err := o.Has(t.Context(), a.Digest); !has || err != nil {
		t.Errorf("Has: %v, %v", has, err)
	}
	count := 0
	if err := o.List(t.Context(), func(pipeline.ObjectInfo) bool { count++; return count < 4 }); err != nil || count != 4 {
		t.Errorf("List stopped after %d, %v; want 4", count, err)
	}
	if _, err := o.Put(t.Context(), []pipeline.Blob{a}); err == nil {
		t.Error("a store that is open for reading takes objects")
	}
}

// With more places than copies, objects are spread evenly, stay where they are when
// a place is added, and are found in any case.
func TestRendezvous(t *testing.T) {
	dir := t.TempDir()
	urls := []string{"file:a", "file:b", "file:c"}
	put := func(urls []string) (pipeline.Objects, map[pipeline.Digest]string) {
		o, err := Open(t.Context(), []pipeline.ObjectDriver{Driver()}, urls, dir, 2, true)
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { o.Close() })
		first := map[pipeline.Digest]string{}
		for i := range 60 {
			b := blob(strings.Repeat("x", i))
			r := o.(*Replicated)
			first[b.Digest] = r.places[r.rank(b.Digest)[0]].Name
			if n, err := o.Put(t.Context(), []pipeline.Blob{b}); n != 2 || err != nil {
				t.Fatalf("%d copies, %v", n, err)
			}
		}
		return o, first
	}
	o, before := put(urls)
	load := map[string]int{}
	if err := o.List(t.Context(), func(i pipeline.ObjectInfo) bool { load[i.Place]++; return true }); err != nil {
		t.Fatal(err)
	}
	for _, u := range urls {
		if load[u] < 25 || load[u] > 55 {
			t.Errorf("%s holds %d of 120 copies", u, load[u])
		}
	}
	moved := 0
	_, after := put(append(urls, "file:d"))
	for d, place := range before {
		if after[d] != place {
			moved++
			if after[d] != "file:d" {
				t.Errorf("%s moved from %s to %s, not to the new place", d, place, after[d])
			}
		}
	}
	if moved == 0 || moved > 30 {
		t.Errorf("%d of 60 objects moved to the fourth place", moved)
	}
}

// none is a driver whose places have no copies of their own, and secrets in their
// URLs.
var none = pipeline.ObjectDriver{
	Scheme: "none",
	Check:  func(string) (string, error) { return "nowhere", nil },
	Open: func(_ context.Context, _, dir string, create bool) (pipeline.Objects, error) {
		return OpenLayout("nowhere", filepath.Join(dir, "none"), create)
	},
}

// Places of several drivers make one store.
func TestMixedPlaces(t *testing.T) {
	dir := t.TempDir()
	o, err := Open(t.Context(), []pipeline.ObjectDriver{Driver(), none}, []string{"file:a", "none:secret"}, dir, 2, true)
	if err != nil {
		t.Fatal(err)
	}
	defer o.Close()
	if n, err := o.Put(t.Context(), []pipeline.Blob{blob("a")}); n != 2 || err != nil {
		t.Fatalf("%d copies, %v", n, err)
	}
	for _, d := range WithLists(Driver(), none) {
		if place, err := d.Check("file:a,none:secret"); place != "file:a,nowhere" || err != nil {
			t.Errorf("%s: the list is called %q, %v", d.Scheme, place, err)
		}
		listed, err := d.Open(t.Context(), "file:a,none:secret", dir, false)
		if err != nil {
			t.Fatal(err)
		}
		defer listed.Close()
		checks, err := listed.Check(t.Context(), blob("a").Digest)
		if err != nil || len(checks) != 2 || checks[0].State != StateOK || checks[1].State != StateOK {
			t.Errorf("%s: %+v, %v", d.Scheme, checks, err)
		}
	}
}

func TestOpenRefuses(t *testing.T) {
	dir := t.TempDir()
	if err := os.WriteFile(filepath.Join(dir, "file"), nil, 0o644); err != nil {
		t.Fatal(err)
	}
	for _, tc := range []struct {
		urls   []string
		copies int
		create bool
		want   string
	}{
		{[]string{"file:none"}, 0, false, "not an object store"},
		{[]string{"file:file"}, 1, true, "cannot write to the object store file:file"},
		{[]string{"s3:x"}, 1, true, "not the URL of an object store"},
		{[]string{"var/objects"}, 1, true, "not the URL of an object store"},
		{[]string{"file:"}, 1, true, "is not a file: URL"},
		{[]string{"file:a?mode=1"}, 0, true, "unknown option"},
		{[]string{"file:a?copies=2"}, 1, true, "copies twice"},
		{[]string{"none:secret"}, 2, true, "nowhere: 2 copies: the place keeps its own"},
		{[]string{"none:secret", "none:other"}, 2, true, "nowhere is listed twice"},
		{[]string{"file:a", "file:b"}, 3, true, "3 copies need as many distinct places"},
		{[]string{"file:a", "file:a"}, 2, true, "listed twice"},
	} {
		o, err := Open(t.Context(), []pipeline.ObjectDriver{Driver(), none}, tc.urls, dir, tc.copies, tc.create)
		if err == nil {
			o.Close()
		}
		if err == nil || !strings.Contains(err.Error(), tc.want) {
			t.Errorf("%v: %v, want %q", tc.urls, err, tc.want)
		}
	}
}

// A place that cannot be written to fails the whole Put.
func TestFewerCopiesThanAsked(t *testing.T) {
	dir := t.TempDir()
	o := open(t, "file:o?copies=2", dir, true)
	blobs := filepath.Join(dir, "o/replicas/2/blobs")
	if err := os.RemoveAll(blobs); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(blobs, nil, 0o644); err != nil {
		t.Fatal(err)
	}
	if n, err := o.Put(t.Context(), []pipeline.Blob{blob("a")}); err == nil || n != 0 {
		t.Errorf("%d copies acknowledged, %v", n, err)
	}
}

// Opening removes what a crashed writer left, but not what a living one writes.
func TestSweep(t *testing.T) {
	dir := t.TempDir()
	left := filepath.Join(dir, "ingest", "1.tmp")
	leave := func() {
		if err := os.MkdirAll(filepath.Dir(left), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(left, []byte("half"), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	leave()
	first := open(t, "file:.", dir, true)
	if _, err := os.Stat(left); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("not swept: %v", err)
	}
	leave()
	open(t, "file:.", dir, true)
	if _, err := os.Stat(left); err != nil {
		t.Errorf("a second writer swept what the first may be writing: %v", err)
	}
	first.Close()
}

func TestSplitList(t *testing.T) {
	for in, want := range map[string][]string{
		"file:a":               {"file:a"},
		"file:a,file:b":        {"file:a", "file:b"},
		"file:a,b,s3:bucket/c": {"file:a,b", "s3:bucket/c"},
		// The commas between hosts, with ports or without, are no others.
		"mongodb://me:p,w@a:1,b:2/db?x=1,file:o,mongodb://c,d/db": {"mongodb://me:p,w@a:1,b:2/db?x=1", "file:o", "mongodb://c,d/db"},
		"file:///disk1/o,file:///disk2/o":                         {"file:///disk1/o", "file:///disk2/o"},
	} {
		if diff := cmp.Diff(want, SplitList(in)); diff != "" {
			t.Error(diff)
		}
	}
}
