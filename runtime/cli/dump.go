package cli

import (
	"bufio"
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"hash"
	"io"
	"iter"
	"slices"

	"github.com/waybill-dev/waybill/pipeline"
)

// A dump is what waybill queue export writes: a line of JSON per entry, and a
// last one that tells a whole dump from one that was cut off or changed:
//
//	{"end":{"entries":2,"digest":"sha256:..."}}
//
// The digest is that of the lines before, each with a line feed.
type dumpEnd struct {
	Entries int64           `json:"entries"`
	Digest  pipeline.Digest `json:"digest"`
}

// maxDumpLine bounds the line of an entry: its history may be long.
const maxDumpLine = 64 << 20

// dumpSum counts and digests the lines of a dump.
type dumpSum struct {
	hash hash.Hash
	n    int64
}

func newDumpSum() dumpSum { return dumpSum{hash: sha256.New()} }

func (s *dumpSum) add(line []byte) {
	s.hash.Write(line)
	s.hash.Write([]byte{'\n'})
	s.n++
}

func (s *dumpSum) end() dumpEnd {
	return dumpEnd{s.n, pipeline.Digest("sha256:" + hex.EncodeToString(s.hash.Sum(nil)))}
}

// dumpWriter writes a dump.
type dumpWriter struct {
	w   *bufio.Writer
	sum dumpSum
}

func newDumpWriter(w io.Writer) *dumpWriter {
	return &dumpWriter{bufio.NewWriterSize(w, 64<<10), newDumpSum()}
}

func (d *dumpWriter) add(e pipeline.Entry) error {
	var line bytes.Buffer
	if err := writeJSON(&line, e); err != nil {
		return fmt.Errorf("item %s: %w", e.ID, err)
	}
	d.sum.add(bytes.TrimSuffix(line.Bytes(), []byte("\n")))
	_, err := d.w.Write(line.Bytes())
	return err
}

// end writes the last line: without it the dump is incomplete.
func (d *dumpWriter) end() error {
	return errors.Join(writeJSON(d.w, map[string]dumpEnd{"end": d.sum.end()}), d.w.Flush())
}

// dumpEntry is an entry of a dump and the number of its line.
type dumpEntry struct {
	pipeline.Entry
	line int
}

// brokenDump is what is wrong with a dump as a whole: it cannot be read, was cut
// off or changed.
type brokenDump struct{ error }

func (b *brokenDump) Unwrap() error { return b.error }

// readDump reads a dump. An error of one entry names its line and does not end
// the sequence; a *brokenDump is its last element.
func readDump(r io.Reader, name string) iter.Seq2[dumpEntry, error] {
	return func(yield func(dumpEntry, error) bool) {
		d := dumpReader{name: name, sum: newDumpSum(), ids: map[string]int{}}
		for line, err := range pipeline.ReadLongLines(r, maxDumpLine) {
			e, err := d.take(line, err)
			broken := errors.As(err, new(*brokenDump))
			if (e.ID != "" || err != nil) && !yield(e, err) || broken {
				return
			}
		}
		if !d.ended {
			yield(dumpEntry{}, &brokenDump{fmt.Errorf("%s: the dump is cut off: it has %s and no last line with their count", name, itemCount(d.sum.n))})
		}
	}
}

type dumpReader struct {
	name  string
	sum   dumpSum
	ids   map[string]int // their lines
	ended bool
}

// take reads one line; of the last one the entry is empty.
func (d *dumpReader) take(line pipeline.Line, err error) (dumpEntry, error) {
	var got struct {
		pipeline.Entry
		End *dumpEnd `json:"end"`
	}
	switch {
	case err != nil && line.Text == nil: // of the reader
		return dumpEntry{}, &brokenDump{fmt.Errorf("%s: %w", d.name, err)}
	case d.ended:
		return dumpEntry{}, &brokenDump{fmt.Errorf("%s:%d: text after the last line of the dump", d.name, line.Number)}
	case err == nil:
		err = strictJSON(line.Text, &got)
	}
	if err == nil && got.End != nil {
		d.ended = true
		if want := d.sum.end(); *got.End != want {
			return dumpEntry{}, &brokenDump{fmt.Errorf("%s:%d: the dump is not what was written: it has %s with the digest %s, its last line says %s with %s",
				d.name, line.Number, itemCount(want.Entries), want.Digest.Short(), itemCount(got.End.Entries), got.End.Digest.Short())}
		}
		return dumpEntry{}, nil
	}
	d.sum.add(line.Text)
	if err == nil {
		err = checkEntry(got.Entry)
	}
	if first, twice := d.ids[got.ID]; twice && err == nil {
		err = fmt.Errorf("duplicate id %q, first at line %d", got.ID, first)
	}
	if err != nil {
		return dumpEntry{line: line.Number}, fmt.Errorf("%s:%d: %w", d.name, line.Number, err)
	}
	d.ids[got.ID] = line.Number
	return dumpEntry{got.Entry, line.Number}, nil
}

func itemCount(n int64) string { return count(n, "item") }

// strictJSON decodes exactly one object without unknown fields.
func strictJSON(text []byte, into any) error {
	dec := json.NewDecoder(bytes.NewReader(text))
	dec.DisallowUnknownFields()
	if err := dec.Decode(into); err != nil {
		return err
	}
	if _, err := dec.Token(); err != io.EOF {
		return errors.New("text after the JSON object")
	}
	return nil
}

// checkEntry reports what no queue could have exported.
func checkEntry(e pipeline.Entry) error {
	if e.ID == "" {
		return errors.New("the item has no id")
	}
	if !slices.Contains(itemStates, e.State) {
		return fmt.Errorf("item %q: unknown state %q: want %s", e.ID, e.State, listed(itemStates))
	}
	if err := checkEnd(e); err != nil {
		return fmt.Errorf("item %q: %w", e.ID, err)
	}
	if e.Attempts < 0 || e.Token < 0 || e.Enqueued.IsZero() {
		return fmt.Errorf("item %q: attempts and token must not be negative, and it must say when it was enqueued", e.ID)
	}
	it := pipeline.NewItem{ID: e.ID, Key: e.Key, IdempotencyKey: e.IdempotencyKey, Body: e.Body, Meta: e.Meta,
		Priority: e.Priority, MaxAttempts: e.MaxAttempts}
	if e.IdempotencyKey != "" { // one that is free again may leave its scope behind
		it.IdempotencyScope = e.IdempotencyScope
	}
	return it.Validate()
}

// checkEnd reports an end that does not fit the state.
func checkEnd(e pipeline.Entry) error {
	want := map[pipeline.ItemState][]pipeline.Result{
		pipeline.StateReady: {""}, pipeline.StateLeased: {""},
		pipeline.StateDone: {pipeline.Succeeded, pipeline.Skipped, pipeline.Dropped}, pipeline.StateDead: {pipeline.Dead},
	}[e.State]
	if !slices.Contains(want, e.Result) {
		return fmt.Errorf("the result %q does not go with the state %s", e.Result, e.State)
	}
	if e.Digest == "" {
		return nil
	}
	_, err := pipeline.ParseDigest(string(e.Digest))
	return err
}
