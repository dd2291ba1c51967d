package dir

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"io/fs"
	"log/slog"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"time"

	"github.com/waybill-dev/waybill/pipeline"
	"github.com/waybill-dev/waybill/stages/claim/internal/local"
)

// watch reads the folder again and again and tells which files are new.
type watch struct {
	config
	log     *slog.Logger
	journal *local.Journal // nil without a checkpoint

	mu    sync.Mutex
	files map[string]*file // in the folder, by name
	ready []*file          // seen twice the same, and not handed out
	due   time.Time        // of the next poll
}

// file is what is known of a file in the folder.
type file struct {
	name string
	stamp
	settled bool     // two polls saw the same stamp
	queued  bool     // it is in ready
	last    *version // the content that was handed out last
}

// stamp tells versions of a file apart without reading it.
type stamp struct {
	Size    int64 `json:"size"`
	Changed int64 `json:"changed"` // nanoseconds
}

// version is one content of a file; the checkpoint keeps it.
type version struct {
	Name string `json:"name"`
	stamp
	Digest string `json:"digest"` // SHA-256
	ended  bool
	result pipeline.Result
}

var _ local.Records = (*watch)(nil)

// shortDigest is how much of a digest stands in names.
const shortDigest = 12

func (v *version) id() string { return v.Name + "@" + v.Digest[:shortDigest] }

// resume takes over what the checkpoint knows.
func (w *watch) resume(j *local.Journal) error {
	w.journal = j
	for _, st := range j.Standings() {
		if !st.Ended {
			continue // its file is still there, or the item is of no use
		}
		var v version
		if err := json.Unmarshal(st.Data, &v); err != nil || v.Name == "" || len(v.Digest) < shortDigest {
			return pipeline.Fail("bad-checkpoint", "the checkpoint's entry %q is no file", st.ID)
		}
		v.ended, v.result = true, st.Result
		// What is as it was need not be read again, unless it was to be moved.
		w.files[v.Name] = &file{name: v.Name, stamp: v.stamp, settled: w.move == "" && w.failed == "", last: &v}
	}
	return nil
}

// Next returns the next new file, with its content.
func (w *watch) Next() (*local.Record, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if now := time.Now(); !now.Before(w.due) {
		if err := w.scan(now); err != nil {
			return nil, err
		}
	}
	for len(w.ready) > 0 {
		f := w.ready[0]
		w.ready = w.ready[1:]
		f.queued = false
		if w.files[f.name] != f { // it has left the folder
			continue
		}
		if rec := w.take(f); rec != nil {
			return rec, nil
		}
	}
	return nil, nil
}

// scan reads the folder. The caller holds the lock.
func (w *watch) scan(now time.Time) error {
	w.due = now.Add(w.poll/2 + rand.N(w.poll)) // jitter: many may watch one disk
	entries, err := os.ReadDir(w.folder)
	if err != nil {
		return pipeline.Again("bad-input", "dir:%s: %w", w.shown, err)
	}
	there := map[string]bool{}
	for _, e := range entries {
		if info := w.counts(e); info != nil {
			there[e.Name()] = true
			w.saw(e.Name(), stamp{info.Size(), info.ModTime().UnixNano()})
		}
	}
	for name, f := range w.files {
		if !there[name] {
			w.forget(f)
		}
	}
	return nil
}

// counts returns what is known of a name that is to be taken, or nil.
func (w *watch) counts(e fs.DirEntry) fs.FileInfo {
	name := e.Name()
	if ok, _ := filepath.Match(w.glob, name); !ok || strings.HasPrefix(name, ".") {
		return nil
	}
	for _, unfinished := range []string{".tmp", ".part", "~"} {
		if strings.HasSuffix(name, unfinished) {
			return nil
		}
	}
	info, err := os.Stat(filepath.Join(w.folder, name)) // a link counts as what it points to
	if err != nil || !info.Mode().IsRegular() {
		return nil
	}
	return info
}

// saw compares a file with what the last poll saw.
func (w *watch) saw(name string, now stamp) {
	f := w.files[name]
	switch {
	case f == nil:
		w.files[name] = &file{name: name, stamp: now}
	case f.stamp != now:
		f.stamp, f.settled = now, false
	case !f.settled:
		f.settled = true
		if !f.queued {
			f.queued = true
			w.ready = append(w.ready, f)
		}
	}
}

// forget drops a file that has left the folder.
func (w *watch) forget(f *file) {
	delete(w.files, f.name)
	w.outdated(f.last)
}

// outdated lets the checkpoint forget a version that has ended and is not the
// last of its file any more.
func (w *watch) outdated(v *version) {
	if v == nil || !v.ended || w.journal == nil {
		return
	}
	if err := w.journal.Forget(v.id()); err != nil {
		w.log.Warn("the checkpoint could not be written", "error", err)
	}
}

// take makes a record of a file, unless its content is known or it has changed
// again. The caller holds the lock.
func (w *watch) take(f *file) *local.Record {
	path := filepath.Join(w.folder, f.name)
	name := filepath.ToSlash(filepath.Join(w.shown, f.name))
	rec := local.FileRecord(path, name)
	data, err := local.ReadFile(path)
	info, statErr := os.Stat(path)
	if statErr != nil || (stamp{info.Size(), info.ModTime().UnixNano()}) != f.stamp {
		f.settled = false // gone, or written again: the next polls tell
		return nil
	}
	sum := sha256.Sum256(data)
	if err != nil { // it cannot be read: an item all the same, one that is dead
		sum = sha256.Sum256([]byte(f.name))
		rec.Bad, rec.Text = err, []byte(name)
	}
	v := &version{Name: f.name, stamp: f.stamp, Digest: hex.EncodeToString(sum[:])}
	if f.last != nil && f.last.Digest == v.Digest { // touched, no more
		f.last.stamp = f.stamp
		if f.last.ended { // moving it was all that was left to do
			w.moveAway(f.last)
		}
		return nil
	}
	w.outdated(f.last)
	f.last = v
	rec.Item.ID = v.id()
	rec.Keep, err = json.Marshal(v)
	if err != nil {
		return nil // a struct of numbers and texts always encodes
	}
	rec.Body = func() (pipeline.Body, error) { return pipeline.RawBody(data, local.MediaType(path)), nil }
	rec.Ended = func(o pipeline.Outcome) { w.ended(v, o) }
	return rec
}

// ended notes that a version is done with, and moves its file.
func (w *watch) ended(v *version, o pipeline.Outcome) {
	w.mu.Lock()
	defer w.mu.Unlock()
	v.ended, v.result = true, o.Result
	if f := w.files[v.Name]; f == nil || f.last != v {
		w.outdated(v)
		return
	}
	w.moveAway(v)
}

// Coming counts the files that wait, also for the next poll.
func (w *watch) Coming() (n int64, next time.Time) {
	w.mu.Lock()
	defer w.mu.Unlock()
	n = int64(len(w.ready))
	for _, f := range w.files {
		if !f.settled {
			n++
		}
	}
	if w.due.IsZero() {
		return 1, time.Now() // the folder has not been read yet
	}
	return n, w.due
}

func (w *watch) Close() error { return nil }

// moveAway moves the file of a version that has ended, if it is still that one.
func (w *watch) moveAway(v *version) {
	to := w.move
	if v.result == pipeline.Dead {
		to = w.failed
	}
	if to == "" {
		return
	}
	path := filepath.Join(w.folder, v.Name)
	info, err := os.Stat(path)
	if err != nil || (stamp{info.Size(), info.ModTime().UnixNano()}) != v.stamp {
		return
	}
	if err := moveTo(path, to, v); err != nil && !errors.Is(err, fs.ErrNotExist) {
		w.log.Warn("a file that has ended could not be moved", "file", path, "to", to, "error", err)
	}
}
