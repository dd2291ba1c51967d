package egress

import (
	"net/http"
	"sync"
	"time"
)

// Exchange is one request with its answer, as it went over the wire but for the
// chunks of a transfer. Bodies are complete.
type Exchange struct {
	Started time.Time
	Method  string
	URL     string
	Request Message
	// Status is that of the answer; 0: there was none.
	Status   int
	Response Message
	// RemoteAddr is the address that answered, without a port.
	RemoteAddr string
	Timings    Timings
	// Failure is why there is no answer, or not all of it; "" if there is. Code
	// is its code (CodeAddress, ...).
	Failure, Code string
	// Complete says that the body was received to its end. A WebSocket's is
	// never: only its opening is recorded.
	Complete bool
}

// Message is a request or an answer.
type Message struct {
	Proto  string // "HTTP/1.1", "HTTP/2.0"
	Header http.Header
	// Body is encoded as Content-Encoding says.
	Body []byte
}

// Timings are the phases of an exchange. A phase that did not happen, or that a
// reused connection spared, is negative.
type Timings struct {
	Blocked, DNS, Connect, TLS, Send, Wait, Receive time.Duration
}

// none is a phase that did not happen.
const none = time.Duration(-1)

// Total is how long the exchange took.
func (t Timings) Total() (sum time.Duration) {
	for _, d := range []time.Duration{t.Blocked, t.DNS, t.Connect, t.TLS, t.Send, t.Wait, t.Receive} {
		sum += max(0, d)
	}
	return sum
}

// record is an exchange under way.
type record struct {
	mu      sync.Mutex
	x       Exchange
	clock   clock
	settled bool
}

// clock keeps the moments that the phases are made from.
type clock struct {
	start, dnsStart, dnsDone, connectStart, connectDone, tlsStart, tlsDone, got, sent, first time.Time
}

func (c clock) timings(end time.Time) Timings {
	// HTTP/2 tells late, or too late, that the request was written.
	if !c.first.IsZero() && (c.sent.IsZero() || c.sent.After(c.first)) {
		c.sent = c.got
	}
	between := func(a, b time.Time) time.Duration {
		if a.IsZero() || b.IsZero() || b.Before(a) {
			return none
		}
		return b.Sub(a)
	}
	t := Timings{
		DNS: between(c.dnsStart, c.dnsDone), Connect: between(c.connectStart, c.connectDone), TLS: between(c.tlsStart, c.tlsDone),
		Send: between(c.got, c.sent), Wait: between(c.sent, c.first), Receive: between(c.first, end),
	}
	t.Blocked = max(0, between(c.start, c.got)-max(0, t.DNS)-max(0, t.Connect)-max(0, t.TLS))
	if c.got.IsZero() {
		t.Blocked = none
	}
	return t
}

// finish ends the record; only the first call counts.
func (r *record) finish(complete bool, e *Error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.settled {
		return
	}
	r.settled = true
	r.x.Complete = complete
	if e != nil {
		r.x.Failure, r.x.Code = e.Err.Error(), e.Code
	}
	r.x.Timings = r.clock.timings(time.Now())
}

// snapshot returns the exchange as it is now.
func (r *record) snapshot() Exchange {
	r.mu.Lock()
	defer r.mu.Unlock()
	x := r.x
	if !r.settled {
		x.Failure = "it had not ended when the recording did"
		x.Timings = r.clock.timings(time.Now())
	}
	return x
}
