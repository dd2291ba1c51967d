package witness

import (
	"encoding/json"
	"fmt"
	"time"

	"github.com/waybill-dev/waybill/pipeline"
	"github.com/waybill-dev/waybill/stages/internal/cas"
)

// URIs of the statement's types. Those of in-toto and SLSA are fixed by their
// specifications; ours is described in spec/receipt.md.
const (
	StatementType = "https://in-toto.io/Statement/v1"
	PredicateType = "https://slsa.dev/provenance/v1"
	BuildType     = "https://github.com/waybill-dev/waybill/receipt/v1"
	BuilderID     = "https://github.com/waybill-dev/waybill/runner/v1"
	// StatementMedia is the media type of a statement.
	StatementMedia = "application/vnd.in-toto+json"
)

// Statement is an in-toto Statement v1 about one attempt of one item.
type Statement struct {
	Type          string     `json:"_type"`
	Subject       []Resource `json:"subject"`
	PredicateType string     `json:"predicateType"`
	Predicate     Provenance `json:"predicate"`
}

// Resource is an in-toto ResourceDescriptor v1.
type Resource struct {
	Name        string            `json:"name"`
	URI         string            `json:"uri,omitempty"`
	MediaType   string            `json:"mediaType,omitempty"`
	Digest      map[string]string `json:"digest,omitempty"`
	Annotations map[string]any    `json:"annotations,omitempty"`
}

// Provenance is the SLSA provenance v1 predicate.
type Provenance struct {
	BuildDefinition BuildDefinition `json:"buildDefinition"`
	RunDetails      RunDetails      `json:"runDetails"`
}

// BuildDefinition says what was done to what.
type BuildDefinition struct {
	BuildType            string     `json:"buildType"`
	ExternalParameters   External   `json:"externalParameters"`
	InternalParameters   Internal   `json:"internalParameters"`
	ResolvedDependencies []Resource `json:"resolvedDependencies,omitempty"`
}

// External names the item and the pipeline.
type External struct {
	Pipeline string `json:"pipeline,omitempty"`
	Queue    string `json:"queue,omitempty"`
	Item     string `json:"item"`
	Key      string `json:"key,omitempty"`
	// Parent emitted this item; Root is the claimed item that both descend from.
	Parent string `json:"parent,omitempty"`
	Root   string `json:"root,omitempty"`
}

// Internal says how the attempt went.
type Internal struct {
	Result      pipeline.Result  `json:"result"`
	Reason      string           `json:"reason,omitempty"` // why it was skipped
	Attempt     int              `json:"attempt"`
	MaxAttempts int              `json:"maxAttempts,omitempty"`
	Token       int64            `json:"token"`
	Enqueued    string           `json:"enqueued,omitempty"`
	Deadline    string           `json:"deadline,omitempty"`
	Spent       map[string]int64 `json:"spent"`
	Left        map[string]int64 `json:"left,omitempty"`
	Steps       []Step           `json:"steps,omitempty"`
}

// Step is one stage of the attempt.
type Step struct {
	Stage     string           `json:"stage"`
	Kind      string           `json:"kind"`
	Result    string           `json:"result"`
	ElapsedNS int64            `json:"elapsedNs"`
	Spent     map[string]int64 `json:"spent,omitempty"`
}

// RunDetails says who did it, and when.
type RunDetails struct {
	Builder    Builder    `json:"builder"`
	Metadata   Metadata   `json:"metadata"`
	Byproducts []Resource `json:"byproducts,omitempty"`
}

// Builder is the engine.
type Builder struct {
	ID      string            `json:"id"`
	Version map[string]string `json:"version,omitempty"`
}

// Metadata holds what differs between two runs of the same work.
type Metadata struct {
	InvocationID string `json:"invocationId"`
	StartedOn    string `json:"startedOn,omitempty"`
	FinishedOn   string `json:"finishedOn"`
}

// Annotations of subjects and dependencies.
const (
	noteSize   = "size"   // bytes
	noteCount  = "count"  // resources in a list that the log keeps
	noteCopies = "copies" // acknowledged copies in the object store
	noteKept   = "kept"   // "log": the object is in the log's own object store
	keptInLog  = "log"
)

// ParseStatement reads the bytes of a statement and makes sure that they are in
// their one canonical form and of the types that this package writes.
func ParseStatement(b []byte) (*Statement, error) {
	canonical, err := cas.Canonical(b)
	if err != nil {
		return nil, fmt.Errorf("no statement: %w", err)
	}
	if string(canonical) != string(b) {
		return nil, fmt.Errorf("no statement: it is not in canonical form")
	}
	var s Statement
	if err := json.Unmarshal(b, &s); err != nil {
		return nil, fmt.Errorf("no statement: %w", err)
	}
	for _, t := range []struct{ got, want string }{
		{s.Type, StatementType}, {s.PredicateType, PredicateType}, {s.Predicate.BuildDefinition.BuildType, BuildType},
	} {
		if t.got != t.want {
			return nil, fmt.Errorf("no statement of ours: type %q, want %q", t.got, t.want)
		}
	}
	return &s, nil
}

func (s *Statement) item() External { return s.Predicate.BuildDefinition.ExternalParameters }

func resource(name, media string, d pipeline.Digest, notes map[string]any) Resource {
	return Resource{Name: name, MediaType: media, Digest: map[string]string{"sha256": d.Hex()}, Annotations: notes}
}

// digest returns the resource's digest, or nothing if it has none.
func (r *Resource) digest() pipeline.Digest {
	d, err := pipeline.ParseDigest("sha256:" + r.Digest["sha256"])
	if err != nil {
		return ""
	}
	return d
}

func (r *Resource) keptInLog() bool { return r.Annotations[noteKept] == keptInLog }

func (r *Resource) number(note string) int64 {
	n, _ := r.Annotations[note].(float64)
	return int64(n)
}

func timestamp(t time.Time) string {
	if t.IsZero() {
		return ""
	}
	return t.UTC().Format(time.RFC3339Nano)
}
