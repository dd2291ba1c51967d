package local

import (
	"bytes"
	"encoding/json"
	"errors"
	"path/filepath"
	"slices"

	"github.com/waybill-dev/waybill/pipeline"
	"github.com/waybill-dev/waybill/stages/internal/durable"
)

// compactAt is the size of a checkpoint from which on it may be written anew,
// which happens when it has grown to twice what the last time was left.
const compactAt = 4 << 20

// OpenLiveJournal opens the checkpoint of an endless input. What was forgotten
// leaves the file in time, so that it does not grow for ever.
func OpenLiveJournal(path, input string) (*Journal, error) {
	return openJournal(path, header{Input: input, Format: "live"}, true)
}

// Standing is where an item stands by the journal.
type Standing struct {
	ID     string
	Data   json.RawMessage
	Ended  bool
	Result pipeline.Result
	Digest pipeline.Digest
}

// Standings returns all items that were not forgotten, oldest first.
func (j *Journal) Standings() []Standing {
	j.mu.Lock()
	defer j.mu.Unlock()
	var out []Standing
	for _, id := range j.inOrder() {
		p := j.past[id]
		out = append(out, Standing{ID: id, Data: p.data, Ended: p.ended, Result: p.result, Digest: p.digest})
	}
	return out
}

// Take notes items that are accepted, all on disk when it returns.
func (j *Journal) Take(items ...Standing) error {
	lines := make([]line, len(items))
	for i, it := range items {
		lines[i] = line{Did: didTake, ID: it.ID, Data: it.Data}
	}
	return j.note(true, lines...)
}

// Forget drops what is known of items. If that is lost, they are known for
// longer, no more.
func (j *Journal) Forget(ids ...string) error {
	lines := make([]line, len(ids))
	for i, id := range ids {
		lines[i] = line{Did: didForget, ID: id}
	}
	return j.note(false, lines...)
}

func (j *Journal) inOrder() []string {
	ids := make([]string, 0, len(j.past))
	for id := range j.past {
		ids = append(ids, id)
	}
	slices.SortFunc(ids, func(a, b string) int { return int(j.past[a].seq - j.past[b].seq) })
	return ids
}

// compactIfGrown writes the journal anew, with one line per item that was not
// forgotten, and goes on in the new file.
func (j *Journal) compactIfGrown() error {
	j.mu.Lock()
	grown := j.live && j.size >= j.least
	j.mu.Unlock()
	if !grown {
		return nil
	}
	j.using.Lock()
	defer j.using.Unlock()
	j.mu.Lock()
	defer j.mu.Unlock()
	if j.size < j.least { // somebody else was faster
		return nil
	}
	text, err := j.standing()
	if err != nil {
		return err
	}
	w := durable.Writer{Temp: filepath.Dir(j.path)}
	if err := w.Write(durable.File{Path: j.path, Data: text}); err != nil {
		return err
	}
	fresh, err := durable.OpenLines(j.path)
	if err != nil {
		return err
	}
	if free, err := fresh.Hold(); err != nil || !free {
		return errors.Join(err, errBusy(j.path), fresh.Close())
	}
	err = j.lines.Close()
	j.lines, j.size = fresh, int64(len(text))
	j.least = max(j.floor, 2*j.size)
	return err
}

// standing renders the whole journal in its shortest form.
func (j *Journal) standing() ([]byte, error) {
	var out bytes.Buffer
	enc := json.NewEncoder(&out)
	err := errors.Join(enc.Encode(j.head), enc.Encode(line{Did: didCount, Claims: j.claims}))
	for _, id := range j.inOrder() {
		p := j.past[id]
		l := line{Did: didStand, ID: id, Attempts: p.attempts, Open: p.open, Data: p.data}
		if p.ended {
			l.Result, l.Digest = p.result, p.digest
		}
		err = errors.Join(err, enc.Encode(l))
	}
	return out.Bytes(), err
}
