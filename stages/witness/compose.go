package witness

import (
	"errors"
	"fmt"
	"time"

	"github.com/waybill-dev/waybill/pipeline"
	"github.com/waybill-dev/waybill/stages/internal/cas"
	"github.com/waybill-dev/waybill/stages/witness/internal/translog"
)

// draft is a statement about an item and the objects that the log keeps for it.
type draft struct {
	about  Statement
	bytes  []byte // the statement in canonical form
	digest pipeline.Digest
	blobs  []pipeline.Blob
}

// keep adds an object to the draft and returns the resource for it.
func (d *draft) keep(name, media string, data []byte) Resource {
	digest := pipeline.DigestOf(data)
	d.blobs = append(d.blobs, pipeline.Blob{Digest: digest, MediaType: media, Data: data})
	return resource(name, media, digest, map[string]any{noteKept: keptInLog, noteSize: len(data)})
}

// compose writes the statement about an item's end.
func compose(it *pipeline.Item, o pipeline.Outcome, run pipeline.RunInfo, now time.Time) (*draft, error) {
	d := &draft{}
	subject, err := subjects(d, it, o)
	if err != nil {
		return nil, err
	}
	d.about = Statement{
		Type: StatementType, Subject: subject, PredicateType: PredicateType,
		Predicate: Provenance{
			BuildDefinition: BuildDefinition{
				BuildType:            BuildType,
				ExternalParameters:   external(it, run),
				InternalParameters:   internal(it, o, run),
				ResolvedDependencies: dependencies(d, it, run),
			},
			RunDetails: RunDetails{
				Builder: Builder{ID: BuilderID, Version: version(run)},
				Metadata: Metadata{
					InvocationID: fmt.Sprintf("%s/%s/%s/%d/%d", run.ID, it.Queue, it.ID, it.Attempt, it.Token),
					StartedOn:    timestamp(it.Started),
					FinishedOn:   timestamp(now),
				},
				Byproducts: trace(it),
			},
		},
	}
	if d.bytes, err = cas.CanonicalValue(d.about); err != nil {
		return nil, pipeline.Fail("bad-statement", "the receipt cannot be written: %w", err)
	}
	if len(d.bytes) > translog.MaxEntry {
		return nil, pipeline.Fail("receipt-too-large", "the receipt's statement has %d bytes, at most %d fit into the log", len(d.bytes), translog.MaxEntry).
			WithHint("it lists %d outputs; large data belongs into objects", len(it.Outputs))
	}
	d.digest = pipeline.DigestOf(d.bytes)
	d.blobs = append(d.blobs, pipeline.Blob{Digest: d.digest, MediaType: StatementMedia, Data: d.bytes})
	return d, nil
}

// subjects lists what the item came to: its outputs, the error if it failed, or
// the body itself if nothing was stored.
func subjects(d *draft, it *pipeline.Item, o pipeline.Outcome) ([]Resource, error) {
	var list []Resource
	for _, out := range it.Outputs {
		list = append(list, resource(out.Name, out.MediaType, out.Digest, map[string]any{noteSize: out.Size, noteCopies: out.Copies}))
	}
	if o.Result != pipeline.Succeeded {
		record, err := cas.CanonicalValue(newErrorRecord(it, o))
		if err != nil {
			return nil, err
		}
		return append(list, d.keep("error", pipeline.MediaJSON, record)), nil
	}
	if len(list) == 0 {
		b, err := it.Body.Bytes()
		if err != nil {
			return nil, pipeline.Fail("bad-body", "%w", err)
		}
		media := it.Body.MediaType()
		list = append(list, d.keep("body", media, canonicalOr(b)))
	}
	return list, nil
}

// canonicalOr returns the canonical form of JSON and everything else as it is.
func canonicalOr(b []byte) []byte {
	if canonical, err := cas.Canonical(b); err == nil {
		return canonical
	}
	return b
}

func external(it *pipeline.Item, run pipeline.RunInfo) External {
	e := External{Pipeline: run.Pipeline, Queue: it.Queue, Item: it.ID, Key: it.Key}
	if it.Parent != nil {
		e.Parent = it.Parent.ID
	}
	return e
}

func internal(it *pipeline.Item, o pipeline.Outcome, run pipeline.RunInfo) Internal {
	in := Internal{
		Result: o.Result, Attempt: it.Attempt, MaxAttempts: it.MaxAttempts, Token: it.Token,
		Enqueued: timestamp(it.Enqueued), Deadline: timestamp(it.Deadline), Spent: map[string]int64{},
	}
	if in.MaxAttempts == 0 {
		in.MaxAttempts = run.MaxAttempts
	}
	for _, unit := range []string{pipeline.UnitFuel, pipeline.UnitIO} {
		in.Spent[unit] = it.Budget.Spent(unit)
		if left, limited := it.Budget.Left(unit); limited {
			if in.Left == nil {
				in.Left = map[string]int64{}
			}
			in.Left[unit] = left
		}
	}
	for _, s := range it.Steps {
		in.Steps = append(in.Steps, Step{s.Stage, s.Kind, s.Result, int64(s.Elapsed), s.Spent})
	}
	return in
}

func dependencies(d *draft, it *pipeline.Item, run pipeline.RunInfo) []Resource {
	var list []Resource
	if len(run.Source) > 0 {
		list = append(list, d.keep("pipeline", pipeline.MediaJSON, run.Source))
	}
	if it.Input != nil {
		media := pipeline.MediaBinary
		input := canonicalOr(it.Input)
		if _, err := pipeline.DecodeJSON(input); err == nil {
			media = pipeline.MediaJSON
		}
		list = append(list, d.keep("input", media, input))
	}
	for _, dep := range it.Dependencies {
		r := Resource{Name: dep.Name, URI: dep.URI, MediaType: dep.MediaType}
		if dep.Digest != "" {
			r.Digest = map[string]string{"sha256": dep.Digest.Hex()}
		}
		for name, value := range dep.Annotations {
			if r.Annotations == nil {
				r.Annotations = map[string]any{}
			}
			r.Annotations[name] = value
		}
		delete(r.Annotations, noteKept)
		list = append(list, r)
	}
	return list
}

func version(run pipeline.RunInfo) map[string]string {
	if run.Version == "" {
		return nil
	}
	return map[string]string{"waybill": run.Version}
}

// trace links the receipt to the item's trace.
func trace(it *pipeline.Item) []Resource {
	if it.Trace.Parent == "" {
		return nil
	}
	return []Resource{{Name: "trace", Annotations: map[string]any{"traceparent": it.Trace.Parent}}}
}

// errorRecord is the subject of a failed item's receipt.
type errorRecord struct {
	Item    string `json:"item"`
	Attempt int    `json:"attempt"`
	Result  string `json:"result"`
	Kind    string `json:"kind,omitempty"`
	Code    string `json:"code,omitempty"`
	Stage   string `json:"stage,omitempty"`
	Message string `json:"message,omitempty"`
	Hint    string `json:"hint,omitempty"`
}

func newErrorRecord(it *pipeline.Item, o pipeline.Outcome) errorRecord {
	r := errorRecord{Item: it.ID, Attempt: it.Attempt, Result: string(o.Result)}
	if o.Cause == nil {
		return r
	}
	r.Kind, r.Code, r.Message = pipeline.KindOf(o.Cause).String(), pipeline.CodeOf(o.Cause), o.Cause.Error()
	var e *pipeline.Error
	if errors.As(o.Cause, &e) {
		r.Stage, r.Hint = e.Stage, e.Hint
		if e.Err != nil {
			r.Message = e.Err.Error()
		}
	}
	return r
}
