package egress

import (
	"sync"
)

// Visit is what one item asks of a lease.
type Visit struct {
	// Record keeps every exchange with its bodies. The visit's bytes bound how
	// much memory that takes.
	Record bool
	// Replay answers from a recording; nothing goes to the network, and what the
	// recording does not have is refused.
	Replay *Archive
	// Traceparent is told to the hosts of Policy.Trace.
	Traceparent string
	// Exceeded is called once, when the visit's bytes are used up. It must not
	// block.
	Exceeded func(*Error)
}

// Report is what a visit did.
type Report struct {
	// Requests counts requests; of a tunnel only its opening.
	Requests int
	// Bytes went both ways: heads and bodies of requests, everything of tunnels.
	Bytes int64
	// Failures are requests without an answer of their origin, the first 100 in
	// order; Counts has all of them by code.
	Failures []*Error
	Counts   map[string]int
	// Exchanges are what was recorded, in the order in which they began.
	Exchanges []Exchange
}

// Refused counts what the policy refused. Blocked types are no refusals: they
// are what was asked for.
func (r Report) Refused() (n int) {
	for code, count := range r.Counts {
		if code != CodeType && (&Error{Code: code}).Policy() {
			n += count
		}
	}
	return n
}

const (
	maxFailures = 100 // in a report
	maxRecent   = 32  // that are still known one by one, whatever their number
)

// visit is the state of a Visit.
type visit struct {
	Visit
	limit int64

	mu       sync.Mutex
	requests int
	bytes    int64
	over     bool
	failures []*Error // the first
	recent   [maxRecent]*Error
	failed   int // all
	counts   map[string]int
	records  []*record
	cursor   map[string]int // of the replay
}

func newVisit(v Visit, limit int64) *visit {
	return &visit{Visit: v, limit: limit, counts: map[string]int{}, cursor: map[string]int{}}
}

// fail notes a request without an answer.
func (v *visit) fail(e *Error) {
	v.mu.Lock()
	defer v.mu.Unlock()
	v.counts[e.Code]++
	if len(v.failures) < maxFailures {
		v.failures = append(v.failures, e)
	}
	v.recent[v.failed%maxRecent] = e
	v.failed++
}

// since returns the number of failures, and those after the first n, the latest
// first, as far as they are still known.
func (v *visit) since(n int) (all int, latest []*Error) {
	v.mu.Lock()
	defer v.mu.Unlock()
	for i := v.failed - 1; i >= max(n, v.failed-maxRecent); i-- {
		latest = append(latest, v.recent[i%maxRecent])
	}
	return v.failed, latest
}

// begin counts a request and makes its record, nil if nothing is recorded.
func (v *visit) begin() *record {
	v.mu.Lock()
	defer v.mu.Unlock()
	v.requests++
	if !v.Record {
		return nil
	}
	r := &record{}
	v.records = append(v.records, r)
	return r
}

// charge pays for bytes and reports whether they were there to be paid.
func (v *visit) charge(n int) bool {
	v.mu.Lock()
	v.bytes += int64(n)
	over := v.bytes > v.limit
	first := over && !v.over
	v.over = over
	v.mu.Unlock()
	if first && v.Exceeded != nil {
		v.Exceeded(v.exceeded(""))
	}
	return !over
}

func (v *visit) spent() bool {
	v.mu.Lock()
	defer v.mu.Unlock()
	return v.over
}

// report is a snapshot.
func (v *visit) report() Report {
	v.mu.Lock()
	defer v.mu.Unlock()
	r := Report{Requests: v.requests, Bytes: v.bytes, Counts: make(map[string]int, len(v.counts))}
	r.Failures = append(r.Failures, v.failures...)
	for code, n := range v.counts {
		r.Counts[code] = n
	}
	for _, rec := range v.records {
		r.Exchanges = append(r.Exchanges, rec.snapshot())
	}
	return r
}
