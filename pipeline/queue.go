package pipeline

import (
	"context"
	"encoding/json"
	"io"
	"log/slog"
	"time"
)

// NewItem is work to be put into a queue: one line of `waybill enqueue`.
type NewItem struct {
	// ID names the item; empty lets the queue choose one.
	ID string `json:"id,omitempty"`
	// Key groups items that run one at a time, in order.
	Key string `json:"key,omitempty"`
	// IdempotencyKey makes a second enqueue of the same work return the first
	// item instead of adding another.
	IdempotencyKey string `json:"idempotencyKey,omitempty"`
	// IdempotencyScope says how long the key is known: ScopeItem (or empty), as
	// long as the item is there; ScopeActive, until the item has ended, so that
	// the same work may be queued again afterwards.
	IdempotencyScope string `json:"idempotencyScope,omitempty"`
	// IdempotencyTTL ends the key's life that long after the enqueue, in the
	// queue's clock; 0 leaves it to the scope.
	IdempotencyTTL Duration          `json:"idempotencyTTL,omitzero"`
	Body           json.RawMessage   `json:"body,omitempty"`
	Meta           map[string]string `json:"meta,omitempty"`
	// Priority is 0 to 9; higher first.
	Priority int `json:"priority,omitempty"`
	// NotBefore delays the item.
	NotBefore time.Time `json:"notBefore,omitzero"`
	// Deadline leads to the dead letters when it passes before success.
	Deadline time.Time `json:"deadline,omitzero"`
	// MaxAttempts overrides the pipeline's retry policy; 0 leaves it.
	MaxAttempts int          `json:"maxAttempts,omitempty"`
	Trace       TraceContext `json:"trace,omitzero"`
}

// How long an idempotency key is known.
const (
	ScopeItem   = "item"
	ScopeActive = "active"
)

// Enqueued is the answer for one NewItem.
type Enqueued struct {
	ID string `json:"id"`
	// Duplicate is true when the idempotency key was known; ID is the first's.
	Duplicate bool `json:"duplicate,omitempty"`
}

// ItemState is where an item stands in its queue.
type ItemState string

const (
	StateReady  ItemState = "ready" // includes delayed ones
	StateLeased ItemState = "leased"
	StateDone   ItemState = "done"
	StateDead   ItemState = "dead"
)

// QueueStats counts a queue's items. Enqueued = Ready + Leased + Done + Dead
// at every moment; Delayed is the part of Ready that only its time keeps from
// being claimable: not what waits behind its key.
type QueueStats struct {
	Ready    int64 `json:"ready"`
	Leased   int64 `json:"leased"`
	Done     int64 `json:"done"`
	Dead     int64 `json:"dead"`
	Enqueued int64 `json:"enqueued"`
	Delayed  int64 `json:"delayed"`
	// Paused: nothing is claimed until somebody resumes the queue.
	Paused bool `json:"paused,omitempty"`
	// AgeSeconds is how long the claimable item that waits longest has been in
	// the queue, in the queue's clock; 0 if nothing waits. With Ready - Delayed it
	// is the signal to scale by.
	AgeSeconds float64 `json:"ageSeconds"`
}

// Entry is an item as its queue keeps it.
type Entry struct {
	ID         string            `json:"id"`
	Queue      string            `json:"queue"`
	State      ItemState         `json:"state"`
	Key        string            `json:"key,omitempty"`
	Priority   int               `json:"priority"`
	Attempts   int               `json:"attempts"`
	Token      int64             `json:"token"`
	Owner      string            `json:"owner,omitempty"`
	Body       json.RawMessage   `json:"body,omitempty"`
	Meta       map[string]string `json:"meta,omitempty"`
	Enqueued   time.Time         `json:"enqueued"`
	NotBefore  time.Time         `json:"notBefore,omitzero"`
	Deadline   time.Time         `json:"deadline,omitzero"`
	LeaseUntil time.Time         `json:"leaseUntil,omitzero"`
	Ended      time.Time         `json:"ended,omitzero"`
	// Result and Digest are set by the acknowledgement.
	Result Result       `json:"result,omitempty"`
	Digest Digest       `json:"digest,omitempty"`
	Trace  TraceContext `json:"trace,omitzero"`
	// MaxAttempts is what the item said for itself; 0: the pipeline decides.
	MaxAttempts int `json:"maxAttempts,omitempty"`
	// IdempotencyKey is set as long as the queue knows the item by it: its scope
	// as in NewItem, and when it ends in the queue's clock (zero: with its scope).
	IdempotencyKey   string    `json:"idempotencyKey,omitempty"`
	IdempotencyScope string    `json:"idempotencyScope,omitempty"`
	IdempotencyUntil time.Time `json:"idempotencyUntil,omitzero"`
	// Cancelled: somebody asked that it runs no more; its claim is condemned.
	Cancelled bool `json:"cancelled,omitempty"`
	// Error is the last error of a dead item; Show has it in the history.
	Error string `json:"error,omitempty"`
	// History has one event per attempt that did not succeed, oldest first.
	History []Event `json:"history,omitempty"`
}

// Event is one line of an item's history.
type Event struct {
	At      time.Time `json:"at"`
	Attempt int       `json:"attempt"`
	// What is retry, released, expired, dropped, dead, replayed, cancelled, moved.
	What  string `json:"what"`
	Kind  string `json:"kind,omitempty"`
	Code  string `json:"code,omitempty"`
	Stage string `json:"stage,omitempty"`
	Error string `json:"error,omitempty"`
}

// Filter selects entries of a queue. Zero fields select everything.
type Filter struct {
	IDs   []string
	State ItemState
	Key   string
	// Result selects ended items by how they ended.
	Result Result
	// OlderThan selects items that were enqueued at least that long ago, in the
	// queue's clock.
	OlderThan time.Duration
	// Limit bounds the answer; 0 means 100 for List and no bound elsewhere.
	Limit int
}

// Queue is a Source that can also be filled and looked after. Drivers implement
// it; spec/claim-protocol.md is its contract.
type Queue interface {
	Source
	Closer
	Waker
	QueueTools
	Records
	// Enqueue adds items, all or none, durable when it returns.
	Enqueue(ctx context.Context, items []NewItem) ([]Enqueued, error)
	// Stats counts the queue in one consistent read.
	Stats(ctx context.Context) (QueueStats, error)
	// List returns entries without bodies and history, oldest first.
	List(ctx context.Context, f Filter) ([]Entry, error)
	// Show returns one whole entry or ErrNotFound.
	Show(ctx context.Context, id string) (Entry, error)
	// Retry makes dead items ready again, with fresh attempts and their
	// history kept, and returns how many.
	Retry(ctx context.Context, f Filter) (int, error)
	// Drop deletes items that are not leased and returns how many. An empty
	// filter selects everything, and there is no way back: a caller that takes
	// filters from people must ask before it deletes a large part.
	Drop(ctx context.Context, f Filter) (int, error)
	// Queues lists the names of all queues behind the same URL.
	Queues(ctx context.Context) ([]string, error)
}

// DefaultLease is how long a claim lasts when nobody says: long enough for a
// renewal every third of it to survive a busy machine, short enough that a lost
// process holds nobody up for long.
const DefaultLease = 30 * time.Second

// QueueOptions are what a pipeline or a command line says about a queue.
type QueueOptions struct {
	// Queue is the name inside the store; the default is "default".
	Queue string
	// Lease is how long a claim lasts without renewal; 0 means DefaultLease.
	Lease time.Duration
	// Owner names the process in entries and events.
	Owner string
	// MaxAttempts is for items that do not say; an item whose last attempt ended
	// with an expired lease is claimed as condemned.
	MaxAttempts int
	// Create makes a missing store or queue; without it they are ErrNoQueue.
	Create bool
	// Dir is what relative paths in the URL are relative to.
	Dir string
	// Format says how a one-shot input is read; empty lets the driver tell by
	// the name. Queues refuse it.
	Format string
	// Checkpoint is the file in which a one-shot input remembers which items
	// have ended; empty: it starts anew each time. Queues refuse it.
	Checkpoint string
	// Lanes returns which lanes' keys this process may claim; nil means all. It is
	// asked at each claim. Items without a key are anybody's.
	Lanes func() LaneSet
	// Token is what clients of a source that listens must show; empty: nothing.
	Token string
	// Stdin is what a source of standard input reads; nil means os.Stdin.
	Stdin io.Reader
	// Log is where a driver reports what no caller waits for (a dead-lettered
	// line, a reaper that cannot write); nil discards it.
	Log *slog.Logger
}

// ForQueue returns the options with their defaults, for a driver whose source is a
// queue. What only one-shot inputs have is an error that names the URL as shown.
func (o QueueOptions) ForQueue(shown string) (QueueOptions, error) {
	if o.Format != "" || o.Checkpoint != "" {
		return o, Fail("bad-option", "%s is a queue: format and checkpoint are for one-shot inputs", shown)
	}
	if o.Queue == "" {
		o.Queue = "default"
	}
	if o.Lease <= 0 {
		o.Lease = DefaultLease
	}
	if o.Log == nil {
		o.Log = slog.New(slog.DiscardHandler)
	}
	return o, nil
}

// QueueDriver opens queues or one-shot sources behind one URL scheme.
type QueueDriver struct {
	// Scheme is the part of the URL before the first colon.
	Scheme string
	// Doc is one line for help and reference.
	Doc string
	// Takes names the keys of the stage "claim" that this driver knows beside
	// from, queue and lease: "format", "checkpoint", "token"; a queue that keeps
	// QueueOptions.Lanes has "lanes".
	Takes []string
	// Check, if it is set, reports what is wrong with a URL and its options, and
	// opens nothing: `waybill check` calls it.
	Check func(url string, o QueueOptions) error
	// Open returns a Source; it is also a Queue if the driver has them.
	Open func(ctx context.Context, url string, o QueueOptions) (Source, error)
}
