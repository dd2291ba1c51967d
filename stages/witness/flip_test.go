package witness

import (
	"flag"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/waybill-dev/waybill/pipeline"
)

// smallRig has a log of two items in two batches, with statements as short as they
// can be, so that every byte of it can be flipped.
func smallRig(t *testing.T) *rig {
	r := newRig(t, t.TempDir())
	r.stage.env.Run = pipeline.RunInfo{ID: "r", Source: []byte("{}")}
	for _, id := range []string{"a", "b"} {
		it := r.item(t, id)
		it.Steps, it.Dependencies, it.Trace, it.Input = nil, nil, pipeline.TraceContext{}, []byte("in "+id)
		if err := r.stage.Process(t.Context(), it); err != nil {
			t.Fatal(err)
		}
	}
	return r
}

// linksOf returns what verify may call the damage of a byte in this file. A first
// entry is also what older checkpoints were made over, and an object may be the
// statement, the input or an output.
func linksOf(rel string) []string {
	switch {
	case rel == "log/checkpoint":
		return []string{"signature"}
	case rel == "log/witness.vkey":
		return []string{"key", "signature"}
	case strings.HasPrefix(rel, "log/tile/entries/"):
		return []string{"entry"}
	case strings.HasPrefix(rel, "log/tile/"):
		return []string{"tile"}
	case strings.HasPrefix(rel, "log/objects/blobs/"):
		return []string{"statement", "dependency"}
	case strings.HasPrefix(rel, "log/receipts/"):
		return []string{"proof", "statement", "inclusion", "signature"}
	case strings.HasPrefix(rel, "objects/") && strings.Contains(rel, "/blobs/"):
		return []string{"object"}
	}
	return nil
}

// carriesNoEvidence names the files that verification does not believe anyway.
func carriesNoEvidence(rel string) bool {
	base := filepath.Base(rel)
	return base == "oci-layout" || base == "index.json" || base == "lock" || strings.HasPrefix(rel, "keys/")
}

// stride is how far apart the flipped bytes of longer files are; 1 flips all 10,000
// bytes and takes twenty times as long.
var stride = flag.Int("flip-stride", 29, "flip each n-th byte of files over 200 bytes")

// One flipped bit in any byte of any file is found, and called by its name.
func TestEveryFlippedByteIsFound(t *testing.T) {
	t.Parallel()
	r := smallRig(t)
	wantAll(t, verify(t, r.request()), 2)
	flips := 0
	for _, path := range files(t, r.dir) {
		rel, err := filepath.Rel(r.dir, path)
		if err != nil {
			t.Fatal(err)
		}
		if carriesNoEvidence(rel) {
			continue
		}
		want := linksOf(rel)
		if want == nil {
			t.Errorf("%s: the test does not know this file", rel)
			continue
		}
		good, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		step := *stride
		if len(good) <= 200 {
			step = 1
		}
		for i := 0; i < len(good); i += step {
			bad := append([]byte{}, good...)
			bad[i] ^= 1
			writeFile(t, path, bad)
			links := failures(verify(t, r.request()))
			flips++
			if !anyOf(links, want) {
				t.Fatalf("%s: byte %d %q -> %q: verify named %v, want one of %v", rel, i, good[i], bad[i], links, want)
			}
		}
		writeFile(t, path, good)
	}
	wantAll(t, verify(t, r.request()), 2)
	if flips < 500 {
		t.Errorf("only %d bytes were flipped", flips)
	}
	t.Logf("%d bytes flipped", flips)
}

func anyOf(links map[string]bool, want []string) bool {
	for _, w := range want {
		if links[w] {
			return true
		}
	}
	return false
}

// Damage in one place is named for the receipt that it concerns, and only for it.
func TestDamageIsNamed(t *testing.T) {
	object := func(r *rig, sub, content string) string {
		return filepath.Join(r.store(), sub, "blobs", "sha256", pipeline.DigestOf([]byte(content)).Hex())
	}
	kept := func(r *rig, d pipeline.Digest) string {
		return filepath.Join(r.log(), "objects", "blobs", "sha256", d.Hex())
	}
	for name, tc := range map[string]struct {
		damage  func(t *testing.T, r *rig, items []*pipeline.Item)
		subject string // end of Verdict.Subject
		link    string
		detail  string
	}{
		"second copy corrupt": {func(t *testing.T, r *rig, _ []*pipeline.Item) {
			writeFile(t, object(r, "replicas/2", "result of a-1"), []byte("else"))
		}, "a-1.tlog-proof", "object", "replicas/2"},
		"first copy missing": {func(t *testing.T, r *rig, _ []*pipeline.Item) { remove(t, object(r, "", "result of a-1")) },
			"a-1.tlog-proof", "object", "1 of 2 copies: missing"},
		"statement missing": {func(t *testing.T, r *rig, items []*pipeline.Item) { remove(t, kept(r, items[1].Receipt)) },
			"a-1.tlog-proof", "statement", "missing"},
		"input missing": {func(t *testing.T, r *rig, _ []*pipeline.Item) {
			remove(t, kept(r, pipeline.DigestOf([]byte(`{"url":"http://127.0.0.1/a-1"}`))))
		}, "a-1.tlog-proof", "dependency", "input"},
		"receipt missing": {func(t *testing.T, r *rig, _ []*pipeline.Item) {
			remove(t, filepath.Join(r.log(), receiptPath("pages", "a-1")))
		}, "a-1.tlog-proof", "proof", "entry 1"},
		"receipts swapped": {func(t *testing.T, r *rig, _ []*pipeline.Item) {
			text, err := os.ReadFile(filepath.Join(r.log(), receiptPath("pages", "a-0")))
			if err != nil {
				t.Fatal(err)
			}
			writeFile(t, filepath.Join(r.log(), receiptPath("pages", "a-1")), text)
		}, "a-1.tlog-proof", "proof", "is filed as"},
		"tile missing": {func(t *testing.T, r *rig, _ []*pipeline.Item) { remove(t, filepath.Join(r.log(), "tile/0/000.p/3")) },
			"log", "tile", "missing"},
		"foreign file": {func(t *testing.T, r *rig, _ []*pipeline.Item) {
			if err := os.WriteFile(filepath.Join(r.log(), "tile/0/x"), nil, 0o644); err != nil {
				t.Fatal(err)
			}
		}, "log", "tile", "not a file of the log"},
		"entries missing": {func(t *testing.T, r *rig, _ []*pipeline.Item) {
			remove(t, filepath.Join(r.log(), "tile/entries/000.p/3"))
		}, "log", "entry", "entries 0 to 2"},
		"log of another key": {func(t *testing.T, r *rig, _ []*pipeline.Item) {
			other := newRig(t, t.TempDir())
			text, err := os.ReadFile(filepath.Join(other.log(), "witness.vkey"))
			if err != nil {
				t.Fatal(err)
			}
			writeFile(t, filepath.Join(r.log(), "witness.vkey"), text)
		}, "log", "signature", ""},
	} {
		t.Run(name, func(t *testing.T) {
			r := newRig(t, t.TempDir())
			items := r.witness(t, ids("a", 3)...)
			tc.damage(t, r, items)
			hit := false
			for _, v := range verify(t, r.request()) {
				named := strings.HasSuffix(v.Subject, tc.subject) && v.Failed == tc.link && strings.Contains(v.Detail, tc.detail)
				hit = hit || named
				if !v.OK && strings.HasSuffix(v.Subject, "a-0.tlog-proof") && tc.link != "signature" && tc.link != "entry" {
					t.Errorf("%s is blamed too: %s: %s", v.Subject, v.Failed, v.Detail)
				}
			}
			if !hit {
				t.Errorf("no verdict names %s of %s with %q: %+v", tc.link, tc.subject, tc.detail, verify(t, r.request()))
			}
		})
	}
}

// A log that was rolled back or forked is found through an older receipt.
func TestRewrittenHistory(t *testing.T) {
	r := newRig(t, t.TempDir())
	r.witness(t, ids("a", 3)...)
	checkpoint := filepath.Join(r.log(), "checkpoint")
	old, err := os.ReadFile(checkpoint)
	if err != nil {
		t.Fatal(err)
	}
	r.witness(t, "b")
	writeFile(t, checkpoint, old)
	if links := failures(verify(t, r.request())); !links["checkpoint"] {
		t.Errorf("rolled back: verify named %v", links)
	}
	if err := os.RemoveAll(filepath.Join(r.log(), "tile")); err != nil {
		t.Fatal(err)
	}
	s := newStage(t, r.dir, Config{})
	defer s.Close()
	if err := s.Start(t.Context()); err == nil || !strings.Contains(err.Error(), "it signed 4 entries") {
		t.Errorf("the witness goes on with a log that lost entries: %v", err)
	}
}

func remove(t *testing.T, path string) {
	t.Helper()
	if err := os.Remove(path); err != nil {
		t.Fatal(err)
	}
}
