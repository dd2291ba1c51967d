package witness

import (
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/waybill-dev/waybill/pipeline"
	"github.com/waybill-dev/waybill/stages/internal/cas"
	"github.com/waybill-dev/waybill/stages/witness/internal/translog"
)

// A statement has room for 64 KiB. What can grow is bounded, so that the end of
// every item can be witnessed, and above all the end of one that failed because it
// had grown too large.
const (
	// maxListed is how many bytes of canonical JSON a list in the statement may
	// have; a longer one is an object of the log, and the statement names it.
	maxListed = 16 << 10
	// maxText is the length of messages in error records and of reasons.
	maxText = 4 << 10
	// maxName is the length of names that somebody chose.
	maxName = pipeline.MaxItemName
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

// list returns resources as they are or, if they are too many for the statement,
// as one object that the log keeps, with all of them.
func (d *draft) list(name string, resources []Resource) ([]Resource, error) {
	text, err := cas.CanonicalValue(resources)
	if err != nil || len(text) <= maxListed {
		return resources, err
	}
	r := d.keep(name, pipeline.MediaJSON, text)
	r.Annotations[noteCount] = len(resources)
	return []Resource{r}, nil
}

// compose writes the statement about an item's end.
func compose(it *pipeline.Item, o pipeline.Outcome, run pipeline.RunInfo, now time.Time) (*draft, error) {
	d := &draft{}
	subject, err := subjects(d, it, o)
	if err != nil {
		return nil, err
	}
	resolved, err := dependencies(d, it, run)
	if err != nil {
		return nil, pipeline.Fail("bad-statement", "the receipt cannot be written: %w", err)
	}
	about := external(it, run)
	d.about = Statement{
		Type: StatementType, Subject: subject, PredicateType: PredicateType,
		Predicate: Provenance{
			BuildDefinition: BuildDefinition{
				BuildType:            BuildType,
				ExternalParameters:   about,
				InternalParameters:   internal(it, o, run),
				ResolvedDependencies: resolved,
			},
			RunDetails: RunDetails{
				Builder: Builder{ID: BuilderID, Version: version(run)},
				Metadata: Metadata{
					InvocationID: fmt.Sprintf("%s/%s/%s/%d/%d", run.ID, it.Queue, about.Item, it.Attempt, it.Token),
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

// subjects lists what the item came to: its outputs, or the body itself if nothing
// was stored; before them the error if it failed, and the input if it was skipped,
// so that there always is one.
func subjects(d *draft, it *pipeline.Item, o pipeline.Outcome) ([]Resource, error) {
	var outputs []Resource
	for _, out := range it.Outputs {
		outputs = append(outputs, resource(out.Name, out.MediaType, out.Digest, map[string]any{noteSize: out.Size, noteCopies: out.Copies}))
	}
	var first Resource
	switch o.Result {
	case pipeline.Succeeded:
		if len(outputs) > 0 {
			return outputs, nil // their copies are what the receipt is for: they are listed, or it fails
		}
		b, err := it.Body.Bytes()
		if err != nil {
			return nil, pipeline.Fail("bad-body", "%w", err)
		}
		return []Resource{d.keep("body", it.Body.MediaType(), canonicalOr(b))}, nil
	case pipeline.Skipped:
		first = d.input(it)
	default:
		record, err := cas.CanonicalValue(newErrorRecord(it, o))
		if err != nil {
			return nil, err
		}
		first = d.keep("error", pipeline.MediaJSON, record)
	}
	outputs, err := d.list("outputs", outputs)
	return append([]Resource{first}, outputs...), err
}

// input is the body as it was claimed.
func (d *draft) input(it *pipeline.Item) Resource {
	media := pipeline.MediaBinary
	input := canonicalOr(it.Input)
	if _, err := pipeline.DecodeJSON(input); err == nil {
		media = pipeline.MediaJSON
	}
	return d.keep("input", media, input)
}

// canonicalOr returns the canonical form of JSON and everything else as it is.
func canonicalOr(b []byte) []byte {
	if canonical, err := cas.Canonical(b); err == nil {
		return canonical
	}
	return b
}

func external(it *pipeline.Item, run pipeline.RunInfo) External {
	e := External{Pipeline: run.Pipeline, Queue: it.Queue, Item: shortName(it.ID), Key: shortName(it.Key)}
	if it.Parent == nil {
		return e
	}
	root := it.Parent
	for root.Parent != nil {
		root = root.Parent
	}
	e.Parent, e.Root = shortName(it.Parent.ID), shortName(root.ID)
	return e
}

func internal(it *pipeline.Item, o pipeline.Outcome, run pipeline.RunInfo) Internal {
	in := Internal{
		Result: o.Result, Attempt: it.Attempt, MaxAttempts: it.MaxAttempts, Token: it.Token,
		Enqueued: timestamp(it.Enqueued), Deadline: timestamp(it.Deadline), Spent: map[string]int64{},
	}
	if o.Result == pipeline.Skipped && o.Cause != nil {
		in.Reason = clip(messageOf(o.Cause), maxText)
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

// dependencies lists what the item was made from; d keeps the pipeline and the
// input.
func dependencies(d *draft, it *pipeline.Item, run pipeline.RunInfo) ([]Resource, error) {
	var list, noted []Resource
	if len(run.Source) > 0 {
		list = append(list, d.keep("pipeline", pipeline.MediaJSON, run.Source))
	}
	if it.Input != nil {
		list = append(list, d.input(it))
	}
	for _, dep := range it.Dependencies {
		r := Resource{Name: shortName(dep.Name), URI: dep.URI, MediaType: dep.MediaType}
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
		noted = append(noted, r)
	}
	noted, err := d.list("dependencies", noted)
	return append(list, noted...), err
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
	return []Resource{{Name: "trace", Annotations: map[string]any{"traceparent": clip(it.Trace.Parent, maxName)}}}
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
	r := errorRecord{Item: shortName(it.ID), Attempt: it.Attempt, Result: string(o.Result)}
	if o.Cause == nil {
		return r
	}
	r.Kind, r.Code, r.Message = pipeline.KindOf(o.Cause).String(), pipeline.CodeOf(o.Cause), clip(messageOf(o.Cause), maxText)
	var e *pipeline.Error
	if errors.As(o.Cause, &e) {
		r.Stage, r.Hint = e.Stage, clip(e.Hint, maxText)
	}
	return r
}

// messageOf is an error's text without what the receipt says elsewhere.
func messageOf(cause error) string {
	var e *pipeline.Error
	if errors.As(cause, &e) && e.Err != nil {
		return e.Err.Error()
	}
	return cause.Error()
}

// clip bounds a text.
func clip(text string, max int) string {
	if len(text) <= max {
		return text
	}
	return strings.ToValidUTF8(text[:max], "") + "..."
}

// shortName bounds a name and keeps it apart from others.
func shortName(s string) string {
	if len(s) <= maxName {
		return s
	}
	sum := sha256.Sum256([]byte(s))
	return clip(s, maxName-2*sha256.Size-3) + hex.EncodeToString(sum[:])
}
