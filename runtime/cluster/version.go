package cluster

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"

	"github.com/waybill-dev/waybill/pipeline"
)

// CodeOldVersion is the code of a pipeline that is older than the one on the
// queue.
const CodeOldVersion = "old-version"

// SupersededError says that another version of the pipeline has taken the queue
// over while this one ran.
type SupersededError struct {
	Pipeline  string
	Mine, Now int
}

// Error names both versions.
func (e *SupersededError) Error() string {
	what := "has been rolled out"
	if e.Now < e.Mine {
		what = "has been rolled back to"
	}
	return fmt.Sprintf("version %d of pipeline %q %s; this is version %d and claims no more", e.Now, e.Pipeline, what, e.Mine)
}

// registered is the record of a pipeline's version on a queue.
type registered struct {
	Version int    `json:"version"`
	Run     string `json:"run"` // who registered it
}

func (m *Member) readVersion(ctx context.Context) (v registered, rev int64, err error) {
	rec, _, err := m.read(ctx, versionName(m.o.Worker.Queue, m.o.Worker.Pipeline))
	if err != nil || rec.Revision == 0 {
		return v, 0, err
	}
	return v, rec.Revision, json.Unmarshal(rec.Value, &v)
}

// register makes this process's version the one that runs, unless a newer one
// does. A file without a version is version 0, older than any other.
func (m *Member) register(ctx context.Context) error {
	w := &m.o.Worker
	for {
		v, rev, err := m.readVersion(ctx)
		switch {
		case err != nil:
			return fmt.Errorf("the pipeline's version: %w", err)
		case v.Version == w.Version:
			return nil
		case v.Version > w.Version && !m.o.Rollback:
			return pipeline.Fail(CodeOldVersion, "version %d of pipeline %q runs on the queue, and this is version %d", v.Version, w.Pipeline, w.Version).
				WithHint("raise version in the file to roll it out, or start with --rollback to go back to it")
		}
		value, err := json.Marshal(registered{Version: w.Version, Run: w.Run})
		if err != nil {
			return err
		}
		if _, err = m.records.WriteRecord(ctx, versionName(w.Queue, w.Pipeline), value, rev, 0); !errors.Is(err, pipeline.ErrConflict) {
			return err
		}
	}
}

// superseded asks whether another version runs now. After a rollback that is a
// lower one.
func (m *Member) superseded(ctx context.Context) error {
	v, _, err := m.readVersion(ctx)
	if err != nil {
		return err
	}
	if w := &m.o.Worker; v.Version != w.Version {
		return &SupersededError{Pipeline: w.Pipeline, Mine: w.Version, Now: v.Version}
	}
	return nil
}
