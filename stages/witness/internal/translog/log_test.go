package translog

import (
	"crypto/ed25519"
	"crypto/rand"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"golang.org/x/mod/sumdb/note"
	"golang.org/x/mod/sumdb/tlog"
)

func openLog(t testing.TB, dir string) *Log {
	t.Helper()
	l, err := Open(Options{Dir: filepath.Join(dir, "log"), Key: filepath.Join(dir, "key")})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { l.Close() })
	return l
}

func entries(from, n int) [][]byte {
	out := make([][]byte, n)
	for i := range out {
		out[i] = fmt.Appendf(nil, "entry %d", from+i)
	}
	return out
}

func add(t testing.TB, l *Log, e [][]byte) []Proof {
	t.Helper()
	var proofs []Proof
	if err := l.Append(e, func(p []Proof) error { proofs = p; return nil }); err != nil {
		t.Fatal(err)
	}
	return proofs
}

func view(t testing.TB, l *Log) *View {
	t.Helper()
	w, err := ReadView(t.Context(), l.opts.Dir, l.signer.verifier, nil)
	if err != nil {
		t.Fatal(err)
	}
	return w
}

// reference is the same log in memory, by x/mod alone.
type reference []tlog.Hash

func (r *reference) add(t testing.TB, index int, entry []byte) {
	hs, err := tlog.StoredHashes(int64(index), entry, r)
	if err != nil {
		t.Fatal(err)
	}
	*r = append(*r, hs...)
}

func (r *reference) ReadHashes(indexes []int64) ([]tlog.Hash, error) {
	out := make([]tlog.Hash, len(indexes))
	for i, x := range indexes {
		out[i] = (*r)[x]
	}
	return out, nil
}

// Batches of any size, over the edges of tiles of two levels, give the roots and
// proofs that an independent implementation gives; reopening changes nothing.
func TestAppendAgainstReference(t *testing.T) {
	dir := t.TempDir()
	l, ref, size := openLog(t, dir), &reference{}, 0
	for i, n := range []int{1, 1, 254, 1, 0, 300, 211, 1, 10} {
		batch := entries(size, n)
		proofs := add(t, l, batch)
		for j, e := range batch {
			ref.add(t, size+j, e)
		}
		size += n
		root, err := tlog.TreeHash(int64(size), ref)
		if err != nil {
			t.Fatal(err)
		}
		for j, p := range proofs {
			c, err := OpenCheckpoint(p.Checkpoint, l.signer.verifier)
			if err != nil || c.Size != int64(size) || c.Root != root {
				t.Fatalf("batch %d: checkpoint %+v, %v; want root %v of %d", i, c, err, root, size)
			}
			want, err := tlog.ProveRecord(int64(size), p.Index, ref)
			if err != nil || cmp.Diff(want, p.Path) != "" {
				t.Fatalf("batch %d: entry %d: another path than the reference", i, p.Index)
			}
			if err := p.CheckInclusion(c, batch[j]); err != nil {
				t.Fatal(err)
			}
		}
		if i%3 == 1 {
			l.Close()
			l = openLog(t, dir)
		}
	}
	w := view(t, l)
	if len(w.Faults) > 0 || len(w.Entries) != size || w.Beyond != 0 {
		t.Errorf("%d entries, %d files beyond, faults %v", len(w.Entries), w.Beyond, w.Faults)
	}
	got := 0
	if err := l.Prove(func(p Proof) (bool, error) {
		got++
		want := fmt.Sprintf("entry %d", size-got)
		if string(p.Extra) != want {
			t.Errorf("entry %d is %q, want %q", p.Index, p.Extra, want)
		}
		return p.Index > 0, nil
	}); err != nil || got != size {
		t.Errorf("%d entries proved, %v; want %d", got, err, size)
	}
}

// The files are those of the specification: full tiles without their partial
// predecessors, and the partial tiles of checkpoints since.
func TestLayout(t *testing.T) {
	dir := t.TempDir()
	l := openLog(t, dir)
	for size, n := range map[int]int{0: 255} {
		add(t, l, entries(size, n))
	}
	add(t, l, entries(255, 2))
	add(t, l, entries(257, 10))
	var got []string
	err := filepath.WalkDir(filepath.Join(dir, "log"), func(path string, d os.DirEntry, err error) error {
		if err == nil && !d.IsDir() {
			rel, _ := filepath.Rel(filepath.Join(dir, "log"), path)
			got = append(got, rel)
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	want := []string{".state/lock", "checkpoint", "tile/0/000", "tile/0/001.p/1", "tile/0/001.p/11", "tile/1/000.p/1",
		"tile/entries/000", "tile/entries/001.p/1", "tile/entries/001.p/11", "witness.vkey"}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
}

func TestTilePaths(t *testing.T) {
	for _, tc := range []struct {
		c     coord
		width int
		want  string
	}{
		{coord{0, 0}, 256, "tile/0/000"}, {coord{0, 273}, 112, "tile/0/273.p/112"},
		{coord{2, 1234067}, 256, "tile/2/x001/x234/067"}, {coord{entriesLevel, 1000}, 1, "tile/entries/x001/000.p/1"},
	} {
		if got := tc.c.path(tc.width); got != tc.want {
			t.Errorf("got %s, want %s", got, tc.want)
		}
		c, width, ok := parsePath(tc.want)
		if !ok || c != tc.c || width != tc.width {
			t.Errorf("%s is read as %v %d %v", tc.want, c, width, ok)
		}
	}
	for _, bad := range []string{"tile/0/0", "tile/0/x000/000", "tile/0/000.p/256", "tile/0/000.p/0", "tile/0/000.p/01", "tile/a/000", "tile/0", "tile/entries/000.x", "x/0/000"} {
		if c, w, ok := parsePath(bad); ok {
			t.Errorf("%s is read as %v %d", bad, c, w)
		}
	}
}

func TestEntryTooLarge(t *testing.T) {
	l := openLog(t, t.TempDir())
	add(t, l, [][]byte{make([]byte, MaxEntry), nil})
	err := l.Append([][]byte{make([]byte, MaxEntry+1)}, func([]Proof) error { t.Error("published"); return nil })
	if err == nil || !strings.Contains(err.Error(), "at most 65535") {
		t.Error(err)
	}
	if w := view(t, l); len(w.Faults) > 0 || len(w.Entries) != 2 {
		t.Errorf("%d entries, %v", len(w.Entries), w.Faults)
	}
}

// What a batch wrote that never got its checkpoint is removed by the next one, even
// where that does not write the same files.
func TestUnsignedTailIsCleared(t *testing.T) {
	dir := t.TempDir()
	l := openLog(t, dir)
	add(t, l, entries(0, 5))
	for _, tail := range []int{2, 251, 252, 600} {
		files, _ := l.grow(l.tree.clone(), entries(1000, tail))
		if err := l.writer.Write(files...); err != nil {
			t.Fatal(err)
		}
		if w := view(t, l); w.Beyond == 0 || len(w.Faults) > 0 {
			t.Errorf("tail of %d: %d files beyond, faults %v", tail, w.Beyond, w.Faults)
		}
		add(t, l, entries(int(l.checkpoint.Size), 1))
		if w := view(t, l); w.Beyond != 0 || len(w.Faults) > 0 {
			t.Errorf("tail of %d: %d files beyond after the next batch, faults %v", tail, w.Beyond, w.Faults)
		}
	}
}

// snapshot and restore stand for backups.
func snapshot(t *testing.T, dir string) string {
	t.Helper()
	to := t.TempDir()
	if err := os.CopyFS(filepath.Join(to, "s"), os.DirFS(dir)); err != nil {
		t.Fatal(err)
	}
	return filepath.Join(to, "s")
}

func restore(t *testing.T, from, dir string) {
	t.Helper()
	if err := errors.Join(os.RemoveAll(dir), os.CopyFS(dir, os.DirFS(from))); err != nil {
		t.Fatal(err)
	}
}

// Never two roots for one size: whatever was restored from a backup, the key does
// not sign another history than the one it signed before.
func TestRestoredBackups(t *testing.T) {
	setUp := func(t *testing.T) (dir, backup string) {
		dir = t.TempDir()
		l := openLog(t, dir)
		add(t, l, entries(0, 3))
		backup = snapshot(t, filepath.Join(dir, "log"))
		add(t, l, entries(3, 2))
		l.Close()
		return dir, backup
	}
	reopen := func(dir string) error {
		l, err := Open(Options{Dir: filepath.Join(dir, "log"), Key: filepath.Join(dir, "key")})
		if err == nil {
			l.Close()
		}
		return err
	}
	t.Run("old log, new key memory", func(t *testing.T) {
		dir, backup := setUp(t)
		restore(t, backup, filepath.Join(dir, "log"))
		if err := reopen(dir); !errors.Is(err, ErrForked) || !strings.Contains(err.Error(), "signed 5 entries") {
			t.Errorf("got %v", err)
		}
	})
	t.Run("old checkpoint, new tiles", func(t *testing.T) {
		dir, backup := setUp(t)
		old, err := os.ReadFile(filepath.Join(backup, "checkpoint"))
		if err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(filepath.Join(dir, "log/checkpoint"), old, 0o644); err != nil {
			t.Fatal(err)
		}
		l := openLog(t, dir) // as after a crash between head and checkpoint
		if w := view(t, l); w.Checkpoint.Size != 5 || len(w.Faults) > 0 {
			t.Errorf("size %d, faults %v; want the signed 5", w.Checkpoint.Size, w.Faults)
		}
	})
	t.Run("key without memory", func(t *testing.T) {
		dir, _ := setUp(t)
		if err := os.RemoveAll(filepath.Join(dir, "key.heads")); err != nil {
			t.Fatal(err)
		}
		if err := reopen(dir); err != nil {
			t.Errorf("a key that was moved cannot go on: %v", err)
		}
	})
	t.Run("fork", func(t *testing.T) {
		dir, backup := setUp(t)
		other := t.TempDir()
		restore(t, backup, filepath.Join(other, "log"))
		key, err := os.ReadFile(filepath.Join(dir, "key"))
		if err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(filepath.Join(other, "key"), key, 0o600); err != nil {
			t.Fatal(err)
		}
		l := openLog(t, other) // a copied key, which remembers nothing
		add(t, l, entries(100, 2))
		l.Close()
		restore(t, filepath.Join(other, "log"), filepath.Join(dir, "log"))
		if err := reopen(dir); !errors.Is(err, ErrForked) || !strings.Contains(err.Error(), "two roots for 5 entries") {
			t.Errorf("got %v", err)
		}
	})
	t.Run("another key", func(t *testing.T) {
		dir, _ := setUp(t)
		if err := os.Remove(filepath.Join(dir, "key")); err != nil {
			t.Fatal(err)
		}
		if err := reopen(dir); !errors.Is(err, ErrForked) {
			t.Errorf("got %v", err)
		}
	})
	t.Run("another origin", func(t *testing.T) {
		dir, _ := setUp(t)
		_, err := Open(Options{Dir: filepath.Join(dir, "log"), Key: filepath.Join(dir, "key"), Origin: "example.com/x"})
		if err == nil || !strings.Contains(err.Error(), "not \"example.com/x\"") {
			t.Errorf("got %v", err)
		}
	})
	t.Run("new log, old key", func(t *testing.T) {
		dir, _ := setUp(t)
		if err := os.RemoveAll(filepath.Join(dir, "log")); err != nil {
			t.Fatal(err)
		}
		if err := reopen(dir); err != nil {
			t.Errorf("a new log is another log: %v", err)
		}
	})
}

// Damage at the end is noticed before anything is signed on top of it.
func TestOpenChecksTheEnd(t *testing.T) {
	for _, name := range []string{"checkpoint", "witness.vkey", "tile/0/000.p/3", "tile/entries/000.p/3"} {
		dir := t.TempDir()
		l := openLog(t, dir)
		add(t, l, entries(0, 3))
		l.Close()
		path := filepath.Join(dir, "log", name)
		data, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		data[len(data)-2] ^= 1
		if err := os.WriteFile(path, data, 0o644); err != nil {
			t.Fatal(err)
		}
		if _, err := Open(Options{Dir: filepath.Join(dir, "log"), Key: filepath.Join(dir, "key")}); err == nil {
			t.Errorf("%s is damaged and Open did not notice", name)
		}
	}
}

func TestKeys(t *testing.T) {
	dir := t.TempDir()
	path := filepath.Join(dir, "deep/down/key")
	first, err := LoadKey(path)
	if err != nil {
		t.Fatal(err)
	}
	again, err := LoadKey(path)
	if err != nil || !first.Equal(again) {
		t.Errorf("another key the second time, %v", err)
	}
	if info, err := os.Stat(path); err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("%v, %v", info.Mode(), err)
	}
	if err := os.Chmod(path, 0o640); err != nil {
		t.Fatal(err)
	}
	if _, err := LoadKey(path); err == nil || !strings.Contains(err.Error(), "may be read by others") {
		t.Errorf("got %v", err)
	}
	_, private, _ := ed25519.GenerateKey(rand.Reader)
	wrong, err := x509.MarshalPKCS8PrivateKey(private)
	if err != nil {
		t.Fatal(err)
	}
	bad := filepath.Join(dir, "bad")
	if err := os.WriteFile(bad, pem.EncodeToMemory(&pem.Block{Type: pemType, Bytes: wrong[:20]}), 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := LoadKey(bad); err == nil {
		t.Error("a truncated key was read")
	}
}

func TestCheckpointSpelling(t *testing.T) {
	_, private, _ := ed25519.GenerateKey(rand.Reader)
	s, err := newSigner("example.com/log", private)
	if err != nil {
		t.Fatal(err)
	}
	sign := func(text string) []byte {
		b, err := note.Sign(&note.Note{Text: text}, s)
		if err != nil {
			t.Fatal(err)
		}
		return b
	}
	root := "47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFU="
	good := "example.com/log\n0\n" + root + "\n"
	if _, err := OpenCheckpoint(sign(good), s.verifier); err != nil {
		t.Fatal(err)
	}
	for _, bad := range []string{
		"example.com/log\n00\n" + root + "\n", "example.com/log\n-1\n" + root + "\n", "example.com/log\n0\n" + root[:43] + "\n",
		"example.com/other\n0\n" + root + "\n", good + "extension\n", "example.com/log\n0\n" + strings.Replace(root, "U=", "V=", 1) + "\n",
	} {
		if c, err := OpenCheckpoint(sign(bad), s.verifier); err == nil || errors.Is(err, ErrSignature) {
			t.Errorf("%q is read as %+v, %v", bad, c, err)
		}
	}
}

func TestProofSpelling(t *testing.T) {
	p := &Proof{Index: 3, Extra: []byte("hello"), Path: tlog.RecordProof{{1}, {2}}, Checkpoint: []byte("c\n1\nr\n\n— s\n")}
	text := string(p.Marshal())
	got, err := ParseProof([]byte(text))
	if err != nil || cmp.Diff(p, got) != "" {
		t.Fatal(err, cmp.Diff(p, got))
	}
	for _, change := range [][2]string{
		{"@v1", "@v2"}, {"index 3", "index 03"}, {"index 3", "index -3"}, {"index 3", "Index 3"}, {"aGVsbG8=", "aGVsbG9="},
		{"aGVsbG8=", "aGVsbG8"}, {"AA=\n", "AB=\n"}, {"\n\n", "\n"}, {"extra", "index 1\nextra"},
	} {
		bad := strings.Replace(text, change[0], change[1], 1)
		if p, err := ParseProof([]byte(bad)); err == nil && !slices.Equal(p.Marshal(), []byte(text)) {
			t.Errorf("%q instead of %q is accepted", change[1], change[0])
		}
	}
}

// A proof that is read is spelled as it was written.
func FuzzParseProof(f *testing.F) {
	f.Add((&Proof{Index: 3, Extra: []byte("hello"), Path: tlog.RecordProof{{1}}, Checkpoint: []byte("c")}).Marshal())
	f.Add([]byte("c2sp.org/tlog-proof@v1\nindex 0\n\n"))
	f.Fuzz(func(t *testing.T, text []byte) {
		if p, err := ParseProof(text); err == nil && string(p.Marshal()) != string(text) {
			t.Errorf("%q is read as %q", text, p.Marshal())
		}
	})
}

// No bundle makes the reader panic, and one that is read is spelled as it was.
func FuzzSplitBundle(f *testing.F) {
	f.Add(appendEntry(appendEntry(nil, []byte("a")), nil), 2)
	f.Fuzz(func(t *testing.T, data []byte, width int) {
		es, err := splitBundle(data, min(max(0, width), tileWidth))
		if err != nil {
			return
		}
		var again []byte
		for _, e := range es {
			again = appendEntry(again, e)
		}
		if string(again) != string(data) {
			t.Errorf("%x is read as %x", data, again)
		}
	})
}
