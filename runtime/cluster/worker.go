package cluster

import (
	"context"
	"encoding/json"
	"fmt"
	"math/bits"
	"time"

	"github.com/waybill-dev/waybill/pipeline"
)

// Worker is one process that runs a pipeline on a queue, as its record tells.
type Worker struct {
	// Session is unique for ever; a process that lost its session has another.
	Session  string          `json:"session"`
	Queue    string          `json:"queue"`
	Run      string          `json:"run"`
	Host     string          `json:"host"`
	PID      int             `json:"pid"`
	Pipeline string          `json:"pipeline"`
	Digest   pipeline.Digest `json:"digest"`
	// Version is that of the pipeline file, 0 if it has none.
	Version int `json:"version"`
	// Started is when the process joined, in the store's clock.
	Started time.Time `json:"started"`
	// Leased says that the worker claims only the keys of its own lanes.
	Leased bool `json:"leased"`
	// Draining says that it claims no more, and gives its lanes up as its items end.
	Draining bool `json:"draining,omitempty"`
	// Lanes are the lanes it held when it wrote this, as bits in hex.
	Lanes Lanes `json:"lanes"`
	Counters
}

// Counters are what a worker has done so far.
type Counters struct {
	Claimed   int64 `json:"claimed"`
	Succeeded int64 `json:"succeeded"`
	Skipped   int64 `json:"skipped"`
	Failed    int64 `json:"failed"`
	Dead      int64 `json:"dead"`
	InFlight  int64 `json:"inFlight"`
}

// Lanes is a set of lanes that is written as 16 hex digits.
type Lanes pipeline.LaneSet

// Count returns how many lanes are in the set.
func (l Lanes) Count() int { return bits.OnesCount64(uint64(l)) }

// MarshalText renders the bits, lane 63 first.
func (l Lanes) MarshalText() ([]byte, error) { return fmt.Appendf(nil, "%016x", uint64(l)), nil }

// UnmarshalText reads what MarshalText wrote.
func (l *Lanes) UnmarshalText(text []byte) error {
	_, err := fmt.Sscanf(string(text), "%x", (*uint64)(l))
	return err
}

// Workers returns the live workers of a queue, or of all queues of the store if
// queue is empty, by session, and the store's time.
func Workers(ctx context.Context, r pipeline.Records, queue string) ([]Worker, time.Time, error) {
	prefix := "workers/"
	if queue != "" {
		prefix = workersPrefix(queue)
	}
	records, now, err := r.Records(ctx, prefix)
	if err != nil {
		return nil, now, fmt.Errorf("workers: %w", err)
	}
	out := make([]Worker, 0, len(records))
	for _, rec := range records {
		w, ok := workerOf(rec)
		if ok {
			out = append(out, w)
		}
	}
	return out, now, nil
}

// workerOf reads a worker's record; the mark of a dead session is none.
func workerOf(rec pipeline.Record) (w Worker, ok bool) {
	err := json.Unmarshal(rec.Value, &w)
	return w, err == nil && w.Session != ""
}
