package pipelinetest

import (
	"context"
	"maps"
	"slices"
	"sync"

	"github.com/waybill-dev/waybill/pipeline"
)

// Recorder is a stage that keeps a copy of what it sees.
type Recorder struct {
	// Do is called for each item, if set; its error is Process's.
	Do func(ctx context.Context, it *pipeline.Item) error

	mu   sync.Mutex
	seen []Seen
}

// Seen is an item as a Recorder saw it.
type Seen struct {
	ID      string
	Attempt int
	Body    string
	Meta    map[string]string
}

// Process implements pipeline.Stage.
func (r *Recorder) Process(ctx context.Context, it *pipeline.Item) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	body, err := it.Body.Bytes()
	if err != nil {
		return err
	}
	r.mu.Lock()
	r.seen = append(r.seen, Seen{it.ID, it.Attempt, string(body), maps.Clone(it.Meta)})
	r.mu.Unlock()
	if r.Do != nil {
		return r.Do(ctx, it)
	}
	return nil
}

// Seen returns what was seen so far, in order.
func (r *Recorder) Seen() []Seen {
	r.mu.Lock()
	defer r.mu.Unlock()
	return slices.Clone(r.seen)
}

// Def is the definition of a stage "record" that is r.
func (r *Recorder) Def() pipeline.Def {
	return pipeline.Define("record", "keeps what it sees", struct{}{},
		func(context.Context, struct{}, pipeline.Env) (*Recorder, error) { return r, nil })
}

var _ pipeline.Stage = (*Recorder)(nil)
