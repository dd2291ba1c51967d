package translog

import (
	"bytes"
	"crypto/ed25519"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"sync"

	"golang.org/x/mod/sumdb/tlog"

	"github.com/waybill-dev/waybill/stages/internal/durable"
)

// Names of files in the log's folder.
const (
	CheckpointFile = "checkpoint"
	VKeyFile       = "witness.vkey"
	StateDir       = ".state"
	LockFile       = StateDir + "/lock"
)

// Options says where a log is and who signs for it.
type Options struct {
	// Dir is the log's folder; a missing one is made.
	Dir string
	// Key is the file of the signing key; a missing one is made.
	Key string
	// Origin names a new log; empty makes a random one. An existing log keeps
	// its name, and another one given here is an error.
	Origin string
	// Step, if set, is called between every two steps of Append with what is
	// done; see also durable.Writer. Tests kill the process there.
	Step func(done string)
}

// Log is a log open for appending. Its methods may be called from several
// goroutines, and the folder may be open in several processes.
type Log struct {
	opts   Options
	key    ed25519.PrivateKey
	signer *signer
	writer durable.Writer // in the log's folder
	heads  durable.Writer // beside the key
	lock   *durable.Lock

	mu         sync.Mutex
	checkpoint *Checkpoint
	tree       *tree
	bundle     []byte // the partial bundle of entries at the end
}

// Open opens a log for appending, finishes what a crash left unfinished and
// checks that checkpoint, head and the tiles at the end agree.
func Open(o Options) (*Log, error) {
	l := &Log{opts: o, writer: durable.Writer{Step: o.Step}, heads: durable.Writer{Step: o.Step}}
	if err := l.open(); err != nil {
		return nil, fmt.Errorf("log %s: %w", o.Dir, errors.Join(err, l.Close()))
	}
	return l, nil
}

func (l *Log) open() (err error) {
	if l.key, err = LoadKey(l.opts.Key); err != nil {
		return err
	}
	l.writer.Temp = filepath.Join(l.opts.Dir, StateDir)
	if err := durable.MkdirAll(l.writer.Temp, 0o755); err != nil {
		return fmt.Errorf("cannot write there: %w", err)
	}
	if l.lock, err = durable.OpenLock(l.path(LockFile)); err != nil {
		return fmt.Errorf("cannot write there: %w", err)
	}
	return l.locked(func() error {
		if err := durable.Sweep(l.writer.Temp); err != nil {
			return err
		}
		if err := l.identify(); err != nil {
			return err
		}
		return l.recover()
	})
}

// locked runs f as the only one who writes to the log, in any process.
func (l *Log) locked(f func() error) error {
	l.mu.Lock()
	defer l.mu.Unlock()
	if err := l.lock.Lock(); err != nil {
		return fmt.Errorf("lock the log: %w", err)
	}
	return errors.Join(f(), l.lock.Unlock())
}

// Close closes the log; it does not wait for anything, since Append leaves
// nothing behind.
func (l *Log) Close() error {
	if l.lock == nil {
		return nil
	}
	return l.lock.Close()
}

// VKey returns the verifier key.
func (l *Log) VKey() string { return l.signer.vkey }

// Append adds entries and signs one checkpoint over them. publish is called with
// one proof per entry once the checkpoint is durable; until it returns nobody
// else appends. After an error the entries may be in the log or not; appending
// them again is harmless.
func (l *Log) Append(entries [][]byte, publish func([]Proof) error) error {
	for i, e := range entries {
		if len(e) > MaxEntry {
			return fmt.Errorf("entry %d has %d bytes; an entry of a tiled log has at most %d", i, len(e), MaxEntry)
		}
	}
	return l.locked(func() error {
		if err := l.refresh(); err != nil {
			return err
		}
		if len(entries) == 0 {
			return publish(nil)
		}
		if err := l.clearBeyond(); err != nil {
			return err
		}
		next, err := l.write(entries)
		if err != nil {
			return err
		}
		return publish(next)
	})
}

// write carries out the steps of Append up to the checkpoint.
func (l *Log) write(entries [][]byte) ([]Proof, error) {
	first, next := l.checkpoint.Size, l.tree.clone()
	files, bundle := l.grow(next, entries)
	if err := l.writer.Write(files...); err != nil {
		return nil, err
	}
	l.step("tiles")
	root, err := next.root(next.size)
	if err != nil {
		return nil, err
	}
	c, err := signCheckpoint(l.signer, next.size, root)
	if err != nil {
		return nil, err
	}
	if err := l.writeHead(c); err != nil {
		return nil, err
	}
	l.step("head")
	if err := l.writeCheckpoint(c); err != nil {
		// The key has signed this root, so it must be published, later if not
		// now: recover does it before the next batch.
		l.checkpoint = nil
		return nil, err
	}
	l.step("checkpoint")
	proofs, err := prove(next, c, first, entries)
	next.trim()
	l.tree, l.bundle, l.checkpoint = next, bundle, c
	l.dropPartials(first)
	return proofs, err
}

// grow adds the entries to the tree and returns the files that change, and the
// bundle at the end.
func (l *Log) grow(next *tree, entries [][]byte) ([]durable.File, []byte) {
	var files []durable.File
	dirty := map[coord]bool{}
	bundle := bytes.Clone(l.bundle)
	at := coord{entriesLevel, next.size >> tileHeight}
	for _, e := range entries {
		bundle = appendEntry(bundle, e)
		next.add(tlog.RecordHash(e), dirty)
		if next.size%tileWidth == 0 {
			files = append(files, l.file(at, tileWidth, bundle))
			at.n++
			bundle = nil
		}
	}
	if width := at.widthAt(next.size); width > 0 {
		files = append(files, l.file(at, width, bundle))
	}
	for c := range dirty {
		data := next.tiles[c]
		files = append(files, l.file(c, len(data)/hashSize, data))
	}
	return files, bundle
}

func (l *Log) file(c coord, width int, data []byte) durable.File {
	return durable.File{Path: l.path(c.path(width)), Data: data}
}

func (l *Log) path(slashed string) string {
	return filepath.Join(l.opts.Dir, filepath.FromSlash(slashed))
}

func (l *Log) writeHead(c *Checkpoint) error {
	return l.heads.Write(durable.File{Path: l.headFile(), Data: c.Raw, Perm: 0o600})
}

func (l *Log) writeCheckpoint(c *Checkpoint) error {
	return l.writer.Write(durable.File{Path: l.path(CheckpointFile), Data: c.Raw})
}

func (l *Log) step(done string) {
	if l.opts.Step != nil {
		l.opts.Step(done)
	}
}

func prove(t *tree, c *Checkpoint, first int64, entries [][]byte) ([]Proof, error) {
	proofs := make([]Proof, len(entries))
	for i, e := range entries {
		index := first + int64(i)
		path, err := tlog.ProveRecord(c.Size, index, t)
		if err != nil {
			return nil, err
		}
		proofs[i] = Proof{Index: index, Extra: e, Path: path, Checkpoint: c.Raw}
	}
	return proofs, nil
}

// Prove makes proofs for entries that are in the log, under its checkpoint. Like
// publish, each runs alone; f is called with each proof from the last entry
// backwards, until it returns false.
func (l *Log) Prove(f func(Proof) (more bool, err error)) error {
	return l.locked(func() error {
		if err := l.refresh(); err != nil {
			return err
		}
		for i := l.checkpoint.Size - 1; i >= 0; i-- {
			p, err := l.proveOne(i)
			if err != nil {
				return err
			}
			if more, err := f(p); err != nil || !more {
				return err
			}
		}
		return nil
	})
}

func (l *Log) proveOne(i int64) (Proof, error) {
	e, err := l.entry(i)
	if err != nil {
		return Proof{}, err
	}
	path, err := tlog.ProveRecord(l.checkpoint.Size, i, l.tree)
	return Proof{Index: i, Extra: e, Path: path, Checkpoint: l.checkpoint.Raw}, err
}

func (l *Log) entry(i int64) ([]byte, error) {
	c := coord{entriesLevel, i >> tileHeight}
	width := c.widthAt(l.checkpoint.Size)
	data := l.bundle
	if width == tileWidth {
		var err error
		if data, err = os.ReadFile(l.path(c.path(width))); err != nil {
			return nil, err
		}
	}
	entries, err := splitBundle(data, width)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", c.path(width), err)
	}
	return entries[i%tileWidth], nil
}

// dropPartials removes the partial tiles that full ones have replaced since the
// log had this size. It runs after the checkpoint, since until then readers need
// them; a reader that comes late finds the full ones. Those that cannot be removed
// stay: they are correct, only superfluous.
func (l *Log) dropPartials(since int64) {
	for level := entriesLevel; ; level++ {
		shift := tileHeight * max(0, level)
		from, to := since>>shift>>tileHeight, l.checkpoint.Size>>shift>>tileHeight
		for n := from; n < to; n++ {
			_ = os.RemoveAll(l.path(coord{level, n}.stem() + ".p"))
		}
		if level >= 0 && to == 0 {
			return
		}
	}
}

// clearBeyond removes entries and tiles beyond the checkpoint: a batch that never
// got its checkpoint wrote them.
func (l *Log) clearBeyond() error {
	size := l.checkpoint.Size
	for level := entriesLevel; ; level++ {
		c := coord{level, size >> (tileHeight * (max(0, level) + 1))}
		found, err := l.clearTile(c, c.widthAt(size))
		for n := c.n + 1; err == nil; n++ {
			var more bool
			if more, err = l.clearTile(coord{level, n}, 0); !more {
				break
			}
			found = true
		}
		if err != nil {
			return err
		}
		if level >= 0 && !found && c.n == 0 && c.widthAt(size) == 0 {
			return nil
		}
	}
}

// clearTile removes versions of a tile that are wider than width, and reports
// whether there was any version at all.
func (l *Log) clearTile(c coord, width int) (found bool, err error) {
	switch err := os.Remove(l.path(c.stem())); {
	case err == nil:
		found = true
	case !errors.Is(err, os.ErrNotExist):
		return false, err
	}
	partials, err := os.ReadDir(l.path(c.stem() + ".p"))
	if errors.Is(err, os.ErrNotExist) {
		return found, nil
	}
	for _, p := range partials {
		if w, convErr := strconv.Atoi(p.Name()); convErr == nil && w > width {
			err = errors.Join(err, os.Remove(l.path(c.path(w))))
		}
	}
	if width == 0 {
		err = errors.Join(err, os.RemoveAll(l.path(c.stem()+".p")))
	}
	return true, err
}
