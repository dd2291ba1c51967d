package translog

import (
	"bytes"
	"crypto/rand"
	"encoding/hex"
	"errors"
	"fmt"
	"io/fs"
	"net/url"
	"os"
	"path/filepath"
	"strings"

	"golang.org/x/mod/sumdb/tlog"

	"github.com/waybill-dev/waybill/stages/internal/durable"
)

// ErrForked is returned when a log and the memory of its key contradict each
// other: going on would sign a second root for a size that has one.
var ErrForked = errors.New("the log is not the one that this key signed")

// identify finds the log's origin, makes the signer and publishes the verifier
// key of a new log.
func (l *Log) identify() error {
	origin, err := l.knownOrigin()
	if err != nil {
		return err
	}
	switch {
	case origin == "" && l.opts.Origin != "":
		origin = l.opts.Origin
	case origin == "":
		// A log that is made anew is another log, even with the same key.
		id := make([]byte, 8)
		if _, err := rand.Read(id); err != nil {
			return err
		}
		origin = "waybill.invalid/log/" + hex.EncodeToString(id)
	case l.opts.Origin != "" && l.opts.Origin != origin:
		return fmt.Errorf("the log's origin is %q, not %q; start a new log in another folder to change it", origin, l.opts.Origin)
	}
	if l.signer, err = newSigner(origin, l.key); err != nil {
		return err
	}
	keyDir := l.opts.Key + ".heads"
	l.heads.Temp = filepath.Join(keyDir, url.PathEscape(origin))
	if err := durable.MkdirAll(l.heads.Temp, 0o700); err != nil {
		return fmt.Errorf("cannot write beside the key: %w", err)
	}
	if err := durable.Sweep(l.heads.Temp); err != nil {
		return err
	}
	return l.publishKey()
}

func (l *Log) headFile() string { return filepath.Join(l.heads.Temp, "head") }

// knownOrigin returns the origin of an existing log, or nothing.
func (l *Log) knownOrigin() (string, error) {
	for _, name := range []string{VKeyFile, CheckpointFile} {
		text, err := os.ReadFile(l.path(name))
		if errors.Is(err, fs.ErrNotExist) {
			continue
		}
		if err != nil {
			return "", err
		}
		end := "\n"
		if name == VKeyFile {
			end = "+"
		}
		origin, _, ok := strings.Cut(string(text), end)
		if !ok || origin == "" {
			return "", fmt.Errorf("%s is damaged; run verify", name)
		}
		return origin, nil
	}
	return "", nil
}

func (l *Log) publishKey() error {
	want := l.signer.vkey + "\n"
	have, err := os.ReadFile(l.path(VKeyFile))
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return l.writer.Write(durable.File{Path: l.path(VKeyFile), Data: []byte(want)})
	case err != nil:
		return err
	case string(have) != want:
		return fmt.Errorf("%w: the log's key is %s, but %s is %s", ErrForked, strings.TrimSpace(string(have)), l.opts.Key, l.signer.vkey)
	}
	return nil
}

// refresh takes notice of what other processes did since the last batch.
func (l *Log) refresh() error {
	raw, err := os.ReadFile(l.path(CheckpointFile))
	if err != nil {
		return err
	}
	head, err := os.ReadFile(l.headFile())
	if err != nil {
		return err
	}
	if l.checkpoint != nil && bytes.Equal(raw, l.checkpoint.Raw) && bytes.Equal(raw, head) {
		return nil
	}
	return l.recover()
}

// recover brings checkpoint, head and memory to one state, or refuses.
func (l *Log) recover() error {
	published, err := l.readCheckpoint(l.path(CheckpointFile))
	if err != nil {
		return err
	}
	head, err := l.readCheckpoint(l.headFile())
	if err != nil {
		return fmt.Errorf("the key's memory %s: %w", l.headFile(), err)
	}
	if published == nil && head == nil {
		if published, err = l.create(); err != nil {
			return err
		}
	}
	latest := published
	if published == nil || head != nil && head.Size > published.Size {
		latest = head
	}
	if err := l.load(latest); err != nil {
		if latest == head {
			return fmt.Errorf("%w: it signed %d entries, of which the log has lost some (%w); restore the log, or start a new one in another folder", ErrForked, head.Size, err)
		}
		return err
	}
	for _, c := range []*Checkpoint{published, head} {
		if err := l.checkPrefix(c); err != nil {
			return err
		}
	}
	if head == nil || head.Size < latest.Size {
		if err := l.writeHead(latest); err != nil {
			return err
		}
	}
	if published == nil || published.Size < latest.Size {
		if err := l.writeCheckpoint(latest); err != nil {
			return err
		}
	}
	l.checkpoint = latest
	return nil
}

// create signs the empty log.
func (l *Log) create() (*Checkpoint, error) {
	root, err := tlog.TreeHash(0, &tree{})
	if err != nil {
		return nil, err
	}
	c, err := signCheckpoint(l.signer, 0, root)
	if err != nil {
		return nil, err
	}
	if err := l.writeHead(c); err != nil {
		return nil, err
	}
	return c, l.writeCheckpoint(c)
}

// readCheckpoint returns nil if there is none.
func (l *Log) readCheckpoint(path string) (*Checkpoint, error) {
	raw, err := os.ReadFile(path)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	c, err := OpenCheckpoint(raw, l.signer.verifier)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", filepath.Base(path), err)
	}
	return c, nil
}

// load reads the right edge of the tree at a checkpoint and checks it.
func (l *Log) load(c *Checkpoint) error {
	t := &tree{size: c.Size, tiles: map[coord][]byte{}, read: l.readFull}
	for level := 0; c.Size>>(tileHeight*level) > 0; level++ {
		at := coord{level, c.Size >> (tileHeight * (level + 1))}
		width := at.widthAt(c.Size)
		if width == 0 {
			continue
		}
		data, err := os.ReadFile(l.path(at.path(width)))
		if err != nil {
			return err
		}
		if len(data) != width*hashSize {
			return fmt.Errorf("tile %s has %d bytes, want %d", at.path(width), len(data), width*hashSize)
		}
		t.tiles[at] = data
	}
	root, err := t.root(c.Size)
	if err != nil {
		return err
	}
	if root != c.Root {
		return fmt.Errorf("the tiles at the end do not agree with the checkpoint over %d entries; run verify", c.Size)
	}
	bundle, err := l.loadBundle(t)
	if err != nil {
		return err
	}
	l.tree, l.bundle = t, bundle
	return nil
}

// loadBundle reads the entries at the end and compares them with their hashes.
func (l *Log) loadBundle(t *tree) ([]byte, error) {
	at := coord{entriesLevel, t.size >> tileHeight}
	width := at.widthAt(t.size)
	if width == 0 {
		return nil, nil
	}
	bundle, err := os.ReadFile(l.path(at.path(width)))
	if err != nil {
		return nil, err
	}
	entries, err := splitBundle(bundle, width)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", at.path(width), err)
	}
	hashes := t.tiles[coord{0, at.n}]
	for i, e := range entries {
		h := tlog.RecordHash(e)
		if !bytes.Equal(h[:], hashes[i*hashSize:(i+1)*hashSize]) {
			return nil, fmt.Errorf("entry %d does not agree with its hash; run verify", at.n*tileWidth+int64(i))
		}
	}
	return bundle, nil
}

func (l *Log) readFull(c coord) ([]byte, error) {
	data, err := os.ReadFile(l.path(c.path(tileWidth)))
	if err == nil && len(data) != tileWidth*hashSize {
		err = fmt.Errorf("tile %s has %d bytes, want %d", c.path(tileWidth), len(data), tileWidth*hashSize)
	}
	return data, err
}

// checkPrefix makes sure that a checkpoint is about the tree that was loaded.
func (l *Log) checkPrefix(c *Checkpoint) error {
	if c == nil {
		return nil
	}
	root, err := l.tree.root(c.Size)
	if err != nil {
		return err
	}
	if root != c.Root {
		return fmt.Errorf("%w: there are two roots for %d entries", ErrForked, c.Size)
	}
	return nil
}
