package witness

import (
	"crypto/ed25519"
	"crypto/sha256"
	"crypto/x509"
	"encoding/pem"
	"flag"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/waybill-dev/waybill/pipeline"
	"github.com/waybill-dev/waybill/stages/internal/cas"
	"github.com/waybill-dev/waybill/stages/witness/internal/translog"
)

var update = flag.Bool("update", false, "rewrite spec/vectors/receipt")

const vectorsDir = "../../spec/vectors/receipt"

// makeVectors witnesses five items in three batches with a fixed key at a fixed time,
// and spoils copies of a receipt. The seed of the key is public: it signs nothing
// but these vectors.
func makeVectors(t *testing.T, dir string) {
	seed := sha256.Sum256([]byte("waybill receipt vectors"))
	der, err := x509.MarshalPKCS8PrivateKey(ed25519.NewKeyFromSeed(seed[:]))
	if err != nil {
		t.Fatal(err)
	}
	keys := t.TempDir()
	if err := os.WriteFile(filepath.Join(keys, "key"), pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: der}), 0o600); err != nil {
		t.Fatal(err)
	}
	objects, err := cas.Open(t.Context(), []pipeline.ObjectDriver{cas.Driver()}, []string{"file:objects"}, dir, 1, true)
	if err != nil {
		t.Fatal(err)
	}
	defer objects.Close()
	r := &rig{dir: dir, objects: objects, stage: newStage(t, dir, Config{Origin: "example.com/waybill-vectors"})}
	r.stage.cfg.Key = "file:" + filepath.Join(keys, "key")
	if err := r.stage.Start(t.Context()); err != nil {
		t.Fatal(err)
	}
	defer r.stage.Close()
	r.witness(t, "plain", "with space/and slash", "ünïcode")
	r.witness(t, "last")
	dead := r.item(t, "dead")
	dead.Outputs = nil
	if err := r.stage.Commit(t.Context(), dead, pipeline.Outcome{Result: pipeline.Dead, Cause: pipeline.Fail("http-404", "no such page")}); err != nil {
		t.Fatal(err)
	}
	spoil(t, r)
}

// spoil writes bad/<link>.tlog-proof: receipts in which that link is broken.
func spoil(t *testing.T, r *rig) {
	_, good, err := readReceipt(filepath.Join(r.log(), receiptPath("pages", "plain")))
	if err != nil {
		t.Fatal(err)
	}
	bad := map[string]translog.Proof{}
	p := *good
	p.Extra = []byte(strings.Replace(string(p.Extra), `"item":"plain"`, `"item":"other"`, 1))
	bad["statement"] = p
	p = *good
	p.Index++
	bad["inclusion"] = p
	p = *good
	p.Checkpoint = []byte(strings.Replace(string(p.Checkpoint), "\n3\n", "\n4\n", 1))
	bad["signature"] = p
	if err := os.MkdirAll(filepath.Join(r.dir, "bad"), 0o755); err != nil {
		t.Fatal(err)
	}
	for link, p := range bad {
		if err := os.WriteFile(filepath.Join(r.dir, "bad", link+proofSuffix), p.Marshal(), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	malformed := strings.Replace(string(good.Marshal()), "index 0", "index 00", 1)
	if err := os.WriteFile(filepath.Join(r.dir, "bad", "proof"+proofSuffix), []byte(malformed), 0o644); err != nil {
		t.Fatal(err)
	}
}

// readTree returns all files that a log or store publishes.
func readTree(t *testing.T, dir string) map[string]string {
	t.Helper()
	tree := map[string]string{}
	err := filepath.WalkDir(dir, func(path string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() && (d.Name() == "ingest" || d.Name() == ".state") {
			if err == nil {
				err = fs.SkipDir
			}
			return err
		}
		if !d.IsDir() {
			b, err := os.ReadFile(path)
			if err != nil {
				return err
			}
			rel, _ := filepath.Rel(dir, path)
			tree[rel] = string(b)
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	return tree
}

// The format does not change unnoticed: today's code writes the vectors byte by byte.
func TestVectorsAreCurrent(t *testing.T) {
	dir := t.TempDir()
	makeVectors(t, dir)
	got := readTree(t, dir)
	if *update {
		if err := os.RemoveAll(vectorsDir); err != nil {
			t.Fatal(err)
		}
		for name, content := range got {
			path := filepath.Join(vectorsDir, name)
			if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
				t.Fatal(err)
			}
			if err := os.WriteFile(path, []byte(content), 0o644); err != nil {
				t.Fatal(err)
			}
		}
	}
	if diff := cmp.Diff(readTree(t, vectorsDir), got); diff != "" {
		t.Errorf("run go test ./stages/witness -run Vectors -update if the format is meant to change (-committed +written):\n%s", diff)
	}
}

func TestVectorsVerify(t *testing.T) {
	dir, err := filepath.Abs(vectorsDir)
	if err != nil {
		t.Fatal(err)
	}
	request := pipeline.VerifyRequest{Log: "file:" + dir + "/log", Store: "file:" + dir + "/objects", Key: dir + "/log/witness.vkey"}
	wantAll(t, verify(t, request), 5)
	for _, link := range []string{"statement", "inclusion", "signature", "proof"} {
		request.Receipts = []string{fmt.Sprintf("%s/bad/%s%s", dir, link, proofSuffix)}
		got := verify(t, request)
		if last := got[len(got)-1]; last.OK || last.Failed != link {
			t.Errorf("%s: named %q: %s", link, last.Failed, last.Detail)
		}
	}
}
