package translog

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"

	"golang.org/x/mod/sumdb/note"
	"golang.org/x/mod/sumdb/tlog"
)

// Links of the chain from an entry to the key, as Fault.Link names them.
const (
	LinkEntry      = "entry"
	LinkTile       = "tile"
	LinkCheckpoint = "checkpoint"
	LinkSignature  = "signature"
)

// Fault is one broken link.
type Fault struct {
	Link string
	// Index is the entry, or -1 if the fault is not about one.
	Index  int64
	Detail string
}

// View is a log as it was read for verification: everything hashed anew, nothing
// believed but the verifier key.
type View struct {
	// Checkpoint is nil if it does not hold.
	Checkpoint *Checkpoint
	// Entries are the hashes of the entries as they are on disk. A fault names
	// those that are not what was signed.
	Entries []tlog.Hash
	// Faults are all broken links that were found.
	Faults []Fault
	// Beyond counts files beyond the checkpoint, which a crash has left and the
	// next batch removes. They are no part of the log.
	Beyond int

	dir    string
	leaves []tlog.Hash // the leaf hashes that were signed, if known
	tree   *tree       // over leaves
}

// ReadView reads the whole log in dir. visit, which may be nil, gets every entry
// that could be read. Damage is a Fault, a missing checkpoint too; the error is ctx's.
func ReadView(ctx context.Context, dir string, v note.Verifier, visit func(index int64, entry []byte)) (*View, error) {
	w := &View{dir: dir}
	raw, err := os.ReadFile(filepath.Join(dir, CheckpointFile))
	if err != nil {
		w.fault(LinkCheckpoint, -1, "%v", err)
		return w, nil
	}
	if w.Checkpoint, err = OpenCheckpoint(raw, v); err != nil {
		w.fault(checkpointLink(err), -1, "%v", err)
		return w, nil
	}
	bundles, err := w.readEntries(ctx, visit)
	if err != nil {
		return nil, err
	}
	w.judge()
	w.checkTiles(bundles)
	return w, nil
}

func checkpointLink(err error) string {
	if errors.Is(err, ErrSignature) {
		return LinkSignature
	}
	return LinkCheckpoint
}

func (w *View) fault(link string, index int64, format string, args ...any) {
	w.Faults = append(w.Faults, Fault{link, index, fmt.Sprintf(format, args...)})
}

// readTile reads a tile or bundle at the log's size: the partial one, or the
// beginning of the full one if that has replaced it.
func (w *View) readTile(c coord, width int) ([]byte, error) {
	data, err := os.ReadFile(filepath.Join(w.dir, filepath.FromSlash(c.path(width))))
	if errors.Is(err, fs.ErrNotExist) && width < tileWidth {
		if full, fullErr := os.ReadFile(filepath.Join(w.dir, filepath.FromSlash(c.path(tileWidth)))); fullErr == nil {
			return cutTile(c, full, width), nil
		}
	}
	return data, err
}

// cutTile returns the first width elements of a tile or bundle.
func cutTile(c coord, data []byte, width int) []byte {
	if c.level != entriesLevel {
		return data[:min(len(data), width*hashSize)]
	}
	end := 0
	for range width {
		if end+2 > len(data) {
			return data
		}
		end += 2 + int(data[end])<<8 + int(data[end+1])
	}
	return data[:min(end, len(data))]
}

// readEntries hashes all entries. An entry that cannot be read has a zero hash. It
// returns the readable bundles' sizes for checkTiles.
func (w *View) readEntries(ctx context.Context, visit func(int64, []byte)) (map[int64]int, error) {
	size := w.Checkpoint.Size
	w.Entries = make([]tlog.Hash, size)
	widths := map[int64]int{}
	for n := int64(0); n*tileWidth < size; n++ {
		if err := ctx.Err(); err != nil {
			return nil, err
		}
		c := coord{entriesLevel, n}
		width := c.widthAt(size)
		data, err := w.readTile(c, width)
		if err != nil {
			w.fault(LinkEntry, n*tileWidth, "entries %d to %d cannot be read: %v", n*tileWidth, n*tileWidth+int64(width)-1, err)
			continue
		}
		entries, err := splitBundle(data, width)
		if err != nil {
			w.fault(LinkEntry, n*tileWidth, "%s: %v", c.path(width), err)
			continue
		}
		widths[n] = width
		for i, e := range entries {
			index := n*tileWidth + int64(i)
			w.Entries[index] = tlog.RecordHash(e)
			if visit != nil {
				visit(index, e)
			}
		}
	}
	return widths, nil
}

// judge finds out which of entries and tiles are those that were signed.
func (w *View) judge() {
	size := w.Checkpoint.Size
	var fromTiles []tlog.Hash
	for n := int64(0); n*tileWidth < size; n++ {
		c := coord{0, n}
		data, err := w.readTile(c, c.widthAt(size))
		if err != nil || len(data) != c.widthAt(size)*hashSize {
			break // checkTiles names it
		}
		for i := 0; i < len(data); i += hashSize {
			fromTiles = append(fromTiles, tlog.Hash(data[i:i+hashSize]))
		}
	}
	entriesHold := w.adopt(w.Entries)
	if !entriesHold && !w.adopt(fromTiles) {
		if len(w.Faults) == 0 && int64(len(fromTiles)) == size {
			w.fault(LinkCheckpoint, -1, "neither the entries nor the tiles lead to the root of the checkpoint over %d entries", size)
		}
	}
	for i := range min(len(w.Entries), len(fromTiles)) {
		if !entriesHold && w.Entries[i] != fromTiles[i] && w.Entries[i] != (tlog.Hash{}) {
			w.fault(LinkEntry, int64(i), "entry %d does not agree with its hash in the tree", i)
		}
	}
}

// adopt takes leaves for those that were signed if they lead to the root.
func (w *View) adopt(leaves []tlog.Hash) bool {
	if int64(len(leaves)) != w.Checkpoint.Size {
		return false
	}
	t := buildTree(leaves)
	if root, err := t.root(t.size); err != nil || root != w.Checkpoint.Root {
		return false
	}
	w.leaves, w.tree = leaves, t
	return true
}

// buildTree makes a tree that needs no disk.
func buildTree(leaves []tlog.Hash) *tree {
	t := &tree{tiles: map[coord][]byte{}, read: func(c coord) ([]byte, error) {
		return nil, fmt.Errorf("tile %s is outside of the log", c.stem())
	}}
	for _, h := range leaves {
		t.add(h, map[coord]bool{})
	}
	return t
}

// checkTiles compares every file below tile/ with what it should be: the current
// tiles, and older partial ones, which are beginnings of them.
func (w *View) checkTiles(bundles map[int64]int) {
	if w.tree == nil {
		return
	}
	found := map[coord]bool{}
	root := filepath.Join(w.dir, "tile")
	err := filepath.WalkDir(root, func(path string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return ignoreMissing(err)
		}
		rel, err := filepath.Rel(w.dir, path)
		if err != nil {
			return err
		}
		w.checkFile(filepath.ToSlash(rel), path, bundles, found)
		return nil
	})
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		w.fault(LinkTile, -1, "%v", err)
	}
	for c := range w.tree.tiles {
		if !found[c] && !w.appeared(c) {
			w.fault(LinkTile, -1, "tile %s is missing", c.path(c.widthAt(w.Checkpoint.Size)))
		}
	}
}

// appeared looks again for a tile that an appender may have replaced by a wider one
// behind our back.
func (w *View) appeared(c coord) bool {
	data, err := w.readTile(c, c.widthAt(w.Checkpoint.Size))
	return err == nil && bytes.Equal(data, w.tree.tiles[c])
}

func ignoreMissing(err error) error {
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	return err
}

func (w *View) checkFile(name, path string, bundles map[int64]int, found map[coord]bool) {
	c, width, ok := parsePath(name)
	if !ok {
		w.fault(LinkTile, -1, "%s is not a file of the log", name)
		return
	}
	limit := c.widthAt(w.Checkpoint.Size)
	if width > limit && width < tileWidth || limit == 0 {
		w.Beyond++
		return
	}
	data, err := os.ReadFile(path)
	if err != nil {
		if !errors.Is(err, fs.ErrNotExist) { // an appender may have replaced it
			w.fault(LinkTile, -1, "%v", err)
		}
		return
	}
	if width > limit {
		// The full tile, which the log has outgrown while we read, or which a
		// crash has left: its beginning counts.
		w.Beyond++
		data, width = cutTile(c, data, limit), limit
	}
	if c.level == entriesLevel {
		w.checkBundle(name, c, width, data, bundles)
		return
	}
	found[c] = found[c] || width == limit
	if !bytes.Equal(data, w.tree.tiles[c][:width*hashSize]) {
		w.fault(LinkTile, -1, "tile %s does not agree with the signed tree", name)
	}
}

// checkBundle checks an older, partial bundle; current ones were checked before.
func (w *View) checkBundle(name string, c coord, width int, data []byte, bundles map[int64]int) {
	if width == bundles[c.n] {
		return
	}
	entries, err := splitBundle(data, width)
	if err != nil {
		w.fault(LinkEntry, c.n*tileWidth, "%s: %v", name, err)
		return
	}
	for i, e := range entries {
		index := c.n*tileWidth + int64(i)
		if tlog.RecordHash(e) != w.leaves[index] {
			w.fault(LinkEntry, index, "%s: entry %d does not agree with its hash in the tree", name, index)
		}
	}
}

// RootAt returns the root of the log when it had this size; ok is false if the log
// is too damaged to tell.
func (w *View) RootAt(size int64) (root tlog.Hash, ok bool) {
	if w.tree == nil || size > w.tree.size {
		return root, false
	}
	root, err := w.tree.root(size)
	return root, err == nil
}

// IndexOf returns where an entry is in the signed log, or -1.
func (w *View) IndexOf(entry []byte) int64 {
	want := tlog.RecordHash(entry)
	for i, h := range w.leaves {
		if h == want {
			return int64(i)
		}
	}
	return -1
}
