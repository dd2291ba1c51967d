package pipeline

import (
	"maps"
	"slices"
	"strconv"
	"time"
)

// Item is one unit of work on its way through a pipeline. Exactly one carrier
// owns an item at a time, so stages may change it without locks; they must not
// keep a reference after Process returns.
type Item struct {
	// ID is unique inside its queue and never changes.
	ID string
	// Key groups items that must not run at the same time and keep their
	// order; empty means no such group.
	Key string
	// Queue is the name of the queue that the item was claimed from.
	Queue string
	// Priority is 0 to 9; higher is claimed first.
	Priority int
	// Attempt counts claims, this one included; the first is 1.
	Attempt int
	// MaxAttempts is the attempt after which a failing item is dead; 0 means
	// that the run's retry policy decides.
	MaxAttempts int
	// Token is the fencing token of this claim: it grows with each claim of the
	// item, and every later write to the queue carries it.
	Token int64
	// Enqueued is when the item was created, in the queue's clock.
	Enqueued time.Time
	// Lane is where the distributor placed the item, 0 without one; children
	// are in their parent's. The engine sets it.
	Lane int
	// Started is when this attempt began, in the engine's clock, for the receipt;
	// zero if unknown. The engine sets it.
	Started time.Time
	// Deadline ends the item over all attempts; zero means none.
	Deadline time.Time
	// Trace is the W3C trace context that the item was created under.
	Trace TraceContext

	// Body is the item's main value.
	Body Body
	// Meta holds small strings about the item (host, status, ...). It may be
	// nil. A stage changes it with SetMeta or puts another map in its place.
	Meta map[string]string
	// Artifacts are named bytes beside the body, in order of creation. A stage
	// changes them with SetArtifact.
	Artifacts []Artifact

	// Input is the body as it was claimed, for the receipt.
	Input []byte
	// Outputs lists what store stages made durable, in order; they append to it.
	Outputs []Output
	// Receipt is the digest of the item's statement, once witnessed.
	Receipt Digest
	// Dependencies are the things that the result was made from (kernels,
	// the browser build), for the receipt.
	Dependencies []Dependency
	// Budget is what the item may still spend; nil means no limit.
	Budget *Budget
	// Steps is the engine's record of the stages of this attempt, for the
	// receipt; stages read it and do not change it.
	Steps []StepRecord

	// Condemned is set by a source whose claim may not run: the item's attempts
	// were used up by workers that died (AttemptsExhausted), its deadline passed
	// while it waited (DeadlineExceeded), or it cannot be read. The engine ends
	// it as dead with this cause, with a receipt, and no stage sees it. Such a
	// claim is not an attempt.
	Condemned error

	// Parent is the item that emitted this one, or nil.
	Parent *Item

	emitted []*Item

	// A checkpoint holds the same map or array: it is copied before a change.
	sharedMeta, sharedArtifacts bool
}

// TraceContext carries a W3C trace context through queues and receipts.
type TraceContext struct {
	Parent string `json:"traceparent,omitempty"`
	State  string `json:"tracestate,omitempty"`
}

// Artifact is a named piece of content beside the body, such as a screenshot.
type Artifact struct {
	// Name is unique inside the item and looks like a relative path
	// ("page.png"); it becomes a subject name in the receipt.
	Name string
	// MediaType is the IANA media type, "application/octet-stream" if unknown.
	MediaType string
	// Data is the content.
	Data []byte
}

// Output is something that a store stage made durable.
type Output struct {
	// Name is "body" or the artifact's name.
	Name      string `json:"name"`
	MediaType string `json:"mediaType"`
	Digest    Digest `json:"digest"`
	Size      int64  `json:"size"`
	// Copies counts acknowledged copies on distinct places.
	Copies int `json:"copies"`
}

// Dependency is something that an item's result depends on. It becomes a
// resolvedDependency of the receipt (SLSA provenance v1).
type Dependency struct {
	Name        string            `json:"name"`
	URI         string            `json:"uri,omitempty"`
	MediaType   string            `json:"mediaType,omitempty"`
	Digest      Digest            `json:"digest,omitempty"`
	Annotations map[string]string `json:"annotations,omitempty"`
}

// StepRecord is what the engine notes about one stage of one attempt.
type StepRecord struct {
	Stage   string        `json:"stage"`
	Kind    string        `json:"kind"`
	Result  string        `json:"result"` // ok, skipped
	Elapsed time.Duration `json:"elapsed"`
	// Spent is what the stage charged to the item, by unit (fuel, io).
	Spent map[string]int64 `json:"spent,omitempty"`
}

// SetMeta sets one metadata value.
func (it *Item) SetMeta(name, value string) {
	if it.Meta == nil {
		it.Meta = make(map[string]string, 4)
	} else if it.sharedMeta {
		it.Meta = maps.Clone(it.Meta)
	}
	it.sharedMeta = false
	it.Meta[name] = value
}

// Artifact returns the artifact of that name, or nil.
func (it *Item) Artifact(name string) *Artifact {
	for i := range it.Artifacts {
		if it.Artifacts[i].Name == name {
			return &it.Artifacts[i]
		}
	}
	return nil
}

// SetArtifact adds an artifact or replaces the one of the same name.
func (it *Item) SetArtifact(a Artifact) {
	if it.sharedArtifacts {
		it.Artifacts, it.sharedArtifacts = slices.Clone(it.Artifacts), false
	}
	if old := it.Artifact(a.Name); old != nil {
		*old = a
		return
	}
	it.Artifacts = append(it.Artifacts, a)
}

// DependOn records d once; a dependency of the same name and digest is not
// repeated.
func (it *Item) DependOn(d Dependency) {
	for i := range it.Dependencies {
		if it.Dependencies[i].Name == d.Name && it.Dependencies[i].Digest == d.Digest {
			return
		}
	}
	it.Dependencies = append(it.Dependencies, d)
}

// NewChild makes a child to be emitted, with what a child inherits: the key, the
// metadata, the claimed input and the dependencies. It has no body. Its id is
// the item's id, "/" and the index, so that a second attempt makes the same
// children and stores that know an id see a repetition.
func (it *Item) NewChild(index int) *Item {
	return &Item{
		ID:           it.ID + "/" + strconv.Itoa(index),
		Key:          it.Key,
		Meta:         maps.Clone(it.Meta),
		Input:        it.Input,
		Dependencies: slices.Clone(it.Dependencies),
	}
}

// Emit hands a child to the engine. The child goes on at the stage after the
// one that emitted it; the parent goes no further and is acknowledged when all
// its children have ended, as a success only if all of them succeeded. A child
// shares its parent's budget, deadline, trace and lease.
func (it *Item) Emit(child *Item) {
	child.Parent, child.Lane = it, it.Lane
	child.Queue, child.Attempt, child.MaxAttempts, child.Token = it.Queue, it.Attempt, it.MaxAttempts, it.Token
	child.Priority, child.Enqueued, child.Deadline, child.Trace = it.Priority, it.Enqueued, it.Deadline, it.Trace
	if child.Budget == nil {
		child.Budget = it.Budget
	}
	it.emitted = append(it.emitted, child)
}

// TakeEmitted returns the children emitted since the last call. It is for the
// engine.
func (it *Item) TakeEmitted() []*Item {
	out := it.emitted
	it.emitted = nil
	return out
}
