package file

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"path/filepath"

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
	open     bool // the last claim has no answer: its process died
	ended    bool
}

// journal is the checkpoint: lines of what became of the items. One process at a
// time has it.
type journal struct {
	path   string
	lines  *durable.Lines
	past   map[string]past // by item; from before it was opened
	claims int64           // of all earlier runs, so that tokens go on growing
}

func openJournal(path string, h header) (*journal, error) {
	h.Waybill = journalVersion
	if err := durable.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		return nil, err
	}
	l, err := durable.OpenLines(path)
	if err != nil {
		return nil, err
	}
	j := &journal{path: path, lines: l, past: map[string]past{}}
	if err := j.take(h); err != nil {
		return nil, errors.Join(err, l.Close())
	}
	return j, nil
}

// take keeps other processes out and reads what is there. A file that is not a
// checkpoint stays as it is.
func (j *journal) take(h header) error {
	free, err := j.lines.Hold()
	if err != nil {
		return err
	}
	if !free {
		return pipeline.Fail("checkpoint-busy", "%s: another process works with this checkpoint", j.path).
			WithHint("several processes can share a queue: waybill enqueue --to sqlite:...")
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
		return j.write(h, true)
	}
	return j.replayAll(text)
}

func (j *journal) bad(line int, err error) error {
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
func (j *journal) replayAll(text []byte) error {
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

func (j *journal) replay(line []byte) error {
	var l journalLine
	if err := json.Unmarshal(line, &l); err != nil {
		return err
	}
	p := j.past[l.ID]
	switch l.Did {
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
		p.ended = true
	default:
		return fmt.Errorf("unknown entry %q", l.Did)
	}
	j.past[l.ID] = p
	return nil
}

// write appends a line; a durable one is on disk when it returns. Callers that
// wait for the disk at the same time share one flush.
func (j *journal) write(v any, durable bool) error {
	line, err := json.Marshal(v)
	if err != nil {
		return err
	}
	if err = j.lines.Add(append(line, '\n')); err == nil && durable {
		err = j.lines.Flush()
	}
	if err != nil {
		return sideError(j.path, err)
	}
	return nil
}

func (j *journal) close() error {
	if j == nil {
		return nil
	}
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
