package chaostest

import (
	"encoding/json"
	"io"
	"math/rand/v2"
	"net/http"
	"net/http/httptest"
	"sync"
	"testing"
	"time"

	"github.com/waybill-dev/waybill/pipeline"
)

// execution is one arrival of an item at the ledger. From and to are places in
// the ledger's order; to is 0 if the process went away before the answer.
type execution struct {
	ID      string `json:"id"`
	Key     string `json:"key"`
	Token   int64  `json:"token"`
	Attempt int    `json:"attempt"`
	Life    string `json:"life"` // of the process

	digest   pipeline.Digest // of what arrived
	from, to int64
	answered bool
}

// ledger is the world outside, which the processes have an effect on. It takes
// up to twice its pace for each item.
type ledger struct {
	*httptest.Server
	pace time.Duration

	mu         sync.Mutex
	clock      int64
	executions []*execution
	malformed  []string
}

func newLedger(t *testing.T, pace time.Duration) *ledger {
	l := &ledger{pace: pace}
	l.Server = httptest.NewServer(l)
	t.Cleanup(l.Close)
	return l
}

// ServeHTTP takes an item, works on it and answers.
func (l *ledger) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	body, err := io.ReadAll(r.Body)
	if err != nil {
		return // killed while it sent
	}
	e := l.begin(body)
	work := time.NewTimer(rand.N(2*l.pace + 1))
	defer work.Stop()
	select {
	case <-work.C:
		l.end(e, true)
	case <-r.Context().Done():
		l.end(e, false)
	}
}

func (l *ledger) begin(body []byte) *execution {
	l.mu.Lock()
	defer l.mu.Unlock()
	e := &execution{digest: pipeline.DigestOf(body)}
	if err := json.Unmarshal(body, e); err != nil || e.ID == "" || e.Token == 0 {
		l.malformed = append(l.malformed, string(body))
	}
	l.clock++
	e.from = l.clock
	l.executions = append(l.executions, e)
	return e
}

// end is before the answer, hence before anything that follows from it.
func (l *ledger) end(e *execution, answered bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.clock++
	e.to, e.answered = l.clock, answered
}

// byItem returns the executions of each item in their order.
func (l *ledger) byItem() map[string][]execution {
	l.mu.Lock()
	defer l.mu.Unlock()
	out := map[string][]execution{}
	for _, e := range l.executions {
		out[e.ID] = append(out[e.ID], *e)
	}
	return out
}
