package local

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"sync"

	"github.com/waybill-dev/waybill/pipeline"
	"github.com/waybill-dev/waybill/stages/internal/durable"
)

// What a line of the journal says. Ends are flushed to disk before they are
// acknowledged; the others survive the death of the process without.
const (
	didClaim   = "claim"
	didCondemn = "condemn" // a claim that is no attempt
	didRefund  = "refund"
	didRetry   = "retry" // given back, the attempt counts
	didEnd     = "end"
	didTake    = "take"   // accepted; data is the item
	didForget  = "forget" // nothing about it matters any more
	didStand   = "stand"  // where an item stands: all its lines in one
	didCount   = "count"  // how many claims there were
)

// header is the first line: a checkpoint belongs to one input.
type header struct {
	Waybill string `json:"waybill"`
	Input   string `json:"input"`
	Format  string `json:"format"`
}

const journalVersion = "checkpoint/1"

type line struct {
	Did    string          `json:"did"`
	ID     string          `json:"id,omitempty"`
	Result pipeline.Result `json:"result,omitempty"`
	Digest pipeline.Digest `json:"digest,omitempty"`
	// Data is what the driver wants to know again.
	Data json.RawMessage `json:"data,omitempty"`
	// Attempts, Open and Claims are of a compacted journal.
	Attempts int   `json:"attempts,omitempty"`
	Open     bool  `json:"open,omitempty"`
	Claims   int64 `json:"claims,omitempty"`
}

// past is what the journal knows of an item.
type past struct {
	attempts int
	open     bool // the last claim has no answer: its process died
	ended    bool
	result   pipeline.Result
	digest   pipeline.Digest
	data     json.RawMessage
	seq      int64 // the order of the first lines about the items
}

// Journal is the checkpoint: lines of what became of the items. One process at a
// time has it.
type Journal struct {
	path string
	head header
	live bool // past follows what is written; else it is from before the opening

	using sync.RWMutex // of lines: who replaces or closes them waits for who writes
	lines *durable.Lines

	mu     sync.Mutex
	past   map[string]past // by item
	claims int64           // of all earlier runs, so that tokens go on growing
	seq    int64
	size   int64 // bytes that were written since the last compaction
	least  int64 // from which size on it is written anew
	floor  int64 // the smallest such size: compactAt
}

// OpenJournal opens the checkpoint of an input that is read once, or makes it.
// The input's name and format must be those of the file.
func OpenJournal(path, input, format string) (*Journal, error) {
	return openJournal(path, header{Input: input, Format: format}, false)
}

func openJournal(path string, h header, live bool) (*Journal, error) {
	h.Waybill = journalVersion
	if err := durable.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		return nil, err
	}
	before, _ := os.Stat(path) // of a new file there is none
	l, err := durable.OpenLines(path)
	if err != nil {
		return nil, err
	}
	j := &Journal{path: path, head: h, live: live, lines: l, past: map[string]past{}, least: compactAt, floor: compactAt}
	err = j.take(h)
	if now, statErr := os.Stat(path); err == nil && before != nil && (statErr != nil || !os.SameFile(before, now)) {
		err = errBusy(path) // its owner has just written it anew, and we hold the old one
	}
	if err != nil {
		return nil, errors.Join(err, l.Close())
	}
	return j, nil
}

// take keeps other processes out and reads what is there. A file that is not a
// checkpoint stays as it is.
func (j *Journal) take(h header) error {
	free, err := j.lines.Hold()
	if err != nil {
		return err
	}
	if !free {
		return errBusy(j.path)
	}
	head, err := json.Marshal(h)
	if err != nil {
		return err
	}
	first, err := j.lines.First()
	if err != nil {
		return err
	}
	if !bytes.HasPrefix(head, first) { // else it is empty, or we died over its first line
		if err := checkHeader(first, h); err != nil {
			return j.bad(1, err)
		}
	}
	text, err := j.lines.Load()
	if err != nil {
		return err
	}
	if len(text) == 0 {
		if _, err = addTo(j.lines, h); err == nil {
			err = j.lines.Flush()
		}
		return err
	}
	return j.replayAll(text)
}

func errBusy(path string) error {
	return pipeline.Fail("checkpoint-busy", "%s: another process works with this checkpoint", path).
		WithHint("several processes can share a queue: waybill enqueue --to sqlite:...")
}

func (j *Journal) bad(line int, err error) error {
	return pipeline.Fail("bad-checkpoint", "%s:%d: %w", j.path, line, err).
		WithHint("name another checkpoint, or delete this one to start anew")
}

func checkHeader(line []byte, want header) error {
	var got header
	if err := json.Unmarshal(line, &got); err != nil || got.Waybill != journalVersion {
		return fmt.Errorf("not a checkpoint of waybill (%s)", journalVersion)
	}
	if got != want {
		return fmt.Errorf("the checkpoint is of the input %s (%s), not of %s (%s)", got.Input, got.Format, want.Input, want.Format)
	}
	return nil
}

// replayAll reads the lines behind the header.
func (j *Journal) replayAll(text []byte) error {
	n := 0
	for line := range bytes.Lines(text) {
		if n++; n == 1 {
			continue
		}
		if err := j.replay(line); err != nil {
			return j.bad(n, err)
		}
	}
	return nil
}

func (j *Journal) replay(text []byte) error {
	var l line
	if err := json.Unmarshal(text, &l); err != nil {
		return err
	}
	j.size += int64(len(text))
	return j.apply(l)
}

// apply adds what a line says to the past.
func (j *Journal) apply(l line) error {
	p, known := j.past[l.ID]
	if !known {
		j.seq++
		p.seq = j.seq
	}
	switch l.Did {
	case didTake:
		p = past{data: l.Data, seq: p.seq}
	case didClaim:
		p.attempts++
		p.open = true
		j.claims++
	case didCondemn:
		j.claims++
	case didRefund:
		p.attempts--
		p.open = false
	case didRetry:
		p.open = false
	case didEnd:
		p.ended, p.open, p.result, p.digest, p.data = true, false, l.Result, l.Digest, l.Data
		if j.live && l.Data == nil {
			delete(j.past, l.ID)
			return nil
		}
	case didForget:
		delete(j.past, l.ID)
		return nil
	case didStand:
		p.attempts, p.open, p.data = l.Attempts, l.Open, l.Data
		if l.Result != "" {
			p.ended, p.result, p.digest = true, l.Result, l.Digest
		}
	case didCount:
		j.claims = max(j.claims, l.Claims)
		return nil
	default:
		return fmt.Errorf("unknown entry %q", l.Did)
	}
	j.past[l.ID] = p
	return nil
}

// of returns what is known of an item.
func (j *Journal) of(id string) past {
	j.mu.Lock()
	defer j.mu.Unlock()
	return j.past[id]
}

// note appends lines; durable ones are on disk when it returns. Callers that
// wait for the disk at the same time share one flush.
func (j *Journal) note(durable bool, lines ...line) error {
	err := j.write(durable, lines)
	if err == nil {
		err = j.compactIfGrown()
	}
	if err != nil {
		return sideError(j.path, err)
	}
	return nil
}

func (j *Journal) write(durable bool, lines []line) error {
	j.using.RLock()
	defer j.using.RUnlock()
	if err := j.add(lines); err != nil || !durable {
		return err
	}
	return j.lines.Flush()
}

func (j *Journal) add(lines []line) error {
	j.mu.Lock()
	defer j.mu.Unlock()
	for _, l := range lines {
		n, err := addTo(j.lines, l)
		if err != nil {
			return err
		}
		j.size += n
		if j.live {
			if err := j.apply(l); err != nil {
				return err
			}
		}
	}
	return nil
}

// addTo appends a value as one line and returns the line's length.
func addTo(lines *durable.Lines, v any) (int64, error) {
	text, err := json.Marshal(v)
	if err != nil {
		return 0, err
	}
	return int64(len(text)) + 1, lines.Add(append(text, '\n'))
}

// Close flushes and closes the file.
func (j *Journal) Close() error {
	if j == nil {
		return nil
	}
	j.using.Lock()
	defer j.using.Unlock()
	return errors.Join(j.lines.Flush(), j.lines.Close())
}

// sideError is for files that the source keeps: the item is not to blame.
func sideError(path string, err error) error {
	e := durable.WriteError(path, err, pipeline.Unavailable, "checkpoint-failed")
	if e.Hint == "" {
		e.Hint = "the file must be there and writable"
	}
	return e
}
