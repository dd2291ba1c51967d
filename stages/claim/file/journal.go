package file

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"sync"

	"github.com/waybill-dev/waybill/pipeline"
	"github.com/waybill-dev/waybill/stages/internal/durable"
)

// What a line of the journal says. Ends are flushed to disk before they are
// acknowledged; claims and refunds survive the death of the process without.
const (
	didClaim  = "claim"
	didRefund = "refund"
	didEnd    = "end"
)

// header is the first line: a checkpoint belongs to one input.
type header struct {
	Waybill string `json:"waybill"`
	Input   string `json:"input"`
	Format  string `json:"format"`
}

const journalVersion = "checkpoint/1"

type journalLine struct {
	Did    string          `json:"did"`
	ID     string          `json:"id"`
	Result pipeline.Result `json:"result,omitempty"`
	Digest pipeline.Digest `json:"digest,omitempty"`
}

// past is what the journal knows of an item from earlier runs.
type past struct {
	attempts int
	ended    bool
}

// journal is an append-only file of JSON lines. A line that lost its end in a
// crash was never acknowledged and is cut off.
type journal struct {
	path   string
	past   map[string]past // by item; from before it was opened
	claims int64           // of all earlier runs, so that tokens go on growing

	mu      sync.Mutex // of the writes
	file    *os.File
	lock    *durable.Lock
	size    int64
	written int64 // lines

	syncing sync.Mutex
	synced  int64 // lines that are on disk
}

func openJournal(path string, h header) (*journal, error) {
	h.Waybill = journalVersion
	if err := durable.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		return nil, err
	}
	f, err := os.OpenFile(path, os.O_RDWR|os.O_CREATE, 0o644)
	if err != nil {
		return nil, err
	}
	j := &journal{path: path, file: f, past: map[string]past{}}
	if err := j.take(h); err != nil {
		return nil, errors.Join(err, j.close())
	}
	return j, nil
}

// take keeps other processes out and reads what is there. The lock ends with
// the process.
func (j *journal) take(h header) (err error) {
	if j.lock, err = durable.OpenLock(j.path); err != nil {
		return err
	}
	free, err := j.lock.TryLock()
	if err != nil {
		return err
	}
	if !free {
		return pipeline.Fail("checkpoint-busy", "%s: another process works with this checkpoint", j.path).
			WithHint("several processes can share a queue: waybill enqueue --to sqlite:...")
	}
	if err := j.load(h); err != nil {
		return err
	}
	return durable.SyncDirs(filepath.Dir(j.path))
}

// load reads all whole lines and cuts off the rest.
func (j *journal) load(h header) error {
	data, err := io.ReadAll(j.file)
	if err != nil {
		return err
	}
	whole := data[:bytes.LastIndexByte(data, '\n')+1]
	j.size = int64(len(whole))
	if err := j.file.Truncate(j.size); err != nil {
		return err
	}
	if j.size == 0 {
		return j.append(h)
	}
	for n := 1; len(whole) > 0; n++ {
		line, rest, _ := bytes.Cut(whole, []byte("\n"))
		whole = rest
		if n == 1 {
			err = j.checkHeader(line, h)
		} else {
			err = j.replay(line)
		}
		if err != nil {
			return pipeline.Fail("bad-checkpoint", "%s:%d: %w", j.path, n, err).
				WithHint("name another checkpoint, or delete this one to start anew")
		}
	}
	return nil
}

func (j *journal) checkHeader(line []byte, want header) error {
	var got header
	if err := json.Unmarshal(line, &got); err != nil || got.Waybill != journalVersion {
		return fmt.Errorf("not a checkpoint of waybill (%s)", journalVersion)
	}
	if got != want {
		return fmt.Errorf("the checkpoint is of the input %s (%s), not of %s (%s)", got.Input, got.Format, want.Input, want.Format)
	}
	return nil
}

func (j *journal) replay(line []byte) error {
	var l journalLine
	if err := json.Unmarshal(line, &l); err != nil {
		return err
	}
	p := j.past[l.ID]
	switch l.Did {
	case didClaim:
		p.attempts++
		j.claims++
	case didRefund:
		p.attempts--
	case didEnd:
		p.ended = true
	default:
		return fmt.Errorf("unknown entry %q", l.Did)
	}
	j.past[l.ID] = p
	return nil
}

// write appends a line; a durable one is on disk when it returns. Callers that
// wait for the disk at the same time share one flush.
func (j *journal) write(l journalLine, durable bool) error {
	j.mu.Lock()
	err := j.append(l)
	n := j.written
	j.mu.Unlock()
	if err != nil || !durable {
		return err
	}
	j.syncing.Lock()
	defer j.syncing.Unlock()
	if j.synced >= n {
		return nil
	}
	j.mu.Lock()
	n = j.written
	j.mu.Unlock()
	if err := j.file.Sync(); err != nil {
		return sideError(j.path, err)
	}
	j.synced = n
	return nil
}

// append writes one whole line or, if the disk refuses, nothing.
func (j *journal) append(v any) error {
	line, err := json.Marshal(v)
	if err != nil {
		return err
	}
	line = append(line, '\n')
	if _, err := j.file.WriteAt(line, j.size); err != nil {
		return sideError(j.path, errors.Join(err, j.file.Truncate(j.size)))
	}
	j.size += int64(len(line))
	j.written++
	return nil
}

func (j *journal) close() error {
	if j == nil {
		return nil
	}
	err := errors.Join(j.file.Sync(), j.file.Close())
	if j.lock != nil {
		err = errors.Join(err, j.lock.Close())
	}
	return err
}

// sideError is for files that the source keeps: the item is not to blame.
func sideError(path string, err error) error {
	return &pipeline.Error{Kind: pipeline.Unavailable, Code: "checkpoint-failed", Err: fmt.Errorf("%s: %w", path, err),
		Hint: "the disk must have room and allow writing"}
}
