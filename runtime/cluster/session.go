package cluster

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"math/rand/v2"
	"time"

	"github.com/waybill-dev/waybill/pipeline"
)

var (
	errLost = errors.New("the session on the queue was lost")
	errLeft = errors.New("the process has left the queue")
)

// tombstone is what stands in the record of a session that somebody found dead.
var tombstone = []byte("{}")

// session is what everything that a process holds on a queue is tied to. It ends
// once and for ever.
type session struct {
	id, name string
	started  time.Time       // in the store's clock
	ctx      context.Context // ends with the session
	end      context.CancelCauseFunc
	timer    *time.Timer // ends it in time

	// Only the member's keeper reads and writes these.
	rev     int64
	renewed time.Time // when the last renewal that succeeded began
	drains  bool      // the record says that the process drains
}

func (s *session) over() bool { return s.ctx.Err() != nil }

// dueIn returns when the next renewal is due.
func (s *session) dueIn(every time.Duration) time.Duration {
	return max(time.Millisecond, time.Until(s.renewed.Add(every)))
}

func (s *session) due(every time.Duration) bool { return time.Since(s.renewed) >= every*3/4 }

// ttl is how long a session lasts in the store; holds is how long its process
// relies on it. The difference is for a claim that is under way, and for clocks
// that run at different rates.
func (m *Member) ttl() time.Duration   { return 3 * m.o.Interval }
func (m *Member) holds() time.Duration { return m.ttl() - m.o.Interval/2 }

// current returns the session, which may be over.
func (m *Member) current() *session {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.session
}

// begin makes a session under a name that was never used before.
func (m *Member) begin(ctx context.Context) error {
	ctx, stop := context.WithTimeout(ctx, m.o.Interval)
	defer stop()
	id := fmt.Sprintf("%s.%08x", m.o.Worker.Run, rand.Uint32())
	s := &session{id: id, name: workersPrefix(m.o.Worker.Queue) + part(id)}
	_, now, err := m.read(ctx, s.name)
	if err != nil {
		return err
	}
	s.started = now
	asked := time.Now()
	s.drains = m.draining()
	if s.rev, err = m.records.WriteRecord(ctx, s.name, m.describe(s), 0, m.ttl()); err != nil {
		return err
	}
	s.ctx, s.end = context.WithCancelCause(m.ctx)
	s.renewed = asked
	s.timer = time.AfterFunc(m.holds()-time.Since(asked), func() { s.end(errLost) })
	context.AfterFunc(s.ctx, func() { s.timer.Stop() })
	m.mu.Lock()
	defer m.mu.Unlock()
	m.session, m.lanes = s, lanes{}
	return nil
}

// renew extends the session. If it has ended in the store, it is over here too.
func (m *Member) renew(ctx context.Context, s *session) error {
	ctx, stop := context.WithTimeout(ctx, m.o.Interval)
	defer stop()
	asked, drains := time.Now(), m.draining()
	rev, err := m.records.WriteRecord(ctx, s.name, m.describe(s), s.rev, m.ttl())
	if errors.Is(err, pipeline.ErrConflict) {
		return m.resume(ctx, s)
	}
	if err != nil {
		return err
	}
	s.rev, s.renewed, s.drains = rev, asked, drains
	s.timer.Reset(m.holds() - time.Since(asked))
	return nil
}

// resume finds out why a renewal met another revision: an earlier one came into
// force although its answer was lost, or the session has ended.
func (m *Member) resume(ctx context.Context, s *session) error {
	rec, _, err := m.read(ctx, s.name)
	if err != nil {
		return err
	}
	if w, ok := workerOf(rec); ok && w.Session == s.id && rec.Revision != s.rev {
		s.rev = rec.Revision
		return errors.New("the answer to the last renewal was lost")
	}
	s.end(errLost)
	return errLost
}

// forget deletes the record of a session that this process has left, or lost, if
// it is still there.
func (m *Member) forget(ctx context.Context, s *session) error {
	ctx, stop := context.WithTimeout(ctx, m.o.Interval)
	defer stop()
	rec, _, err := m.read(ctx, s.name)
	if _, alive := workerOf(rec); err != nil || !alive {
		return err
	}
	if err := m.records.DeleteRecord(ctx, s.name, rec.Revision); !errors.Is(err, pipeline.ErrConflict) {
		return err
	}
	return nil // it has just ended, and somebody has noted that
}

// describe renders the worker's record.
func (m *Member) describe(s *session) []byte {
	w := m.o.Worker
	w.Session, w.Started, w.Draining = s.id, s.started, m.draining()
	if w.Leased {
		w.Lanes = Lanes(m.Lanes())
	}
	if m.o.Counters != nil {
		w.Counters = m.o.Counters()
	}
	value, _ := json.Marshal(w) // plain fields
	return value
}

// dead reports whether a session has ended. If it has, its record is now such
// that no renewal of it can succeed any more.
func (m *Member) dead(ctx context.Context, id string) (bool, error) {
	name := workersPrefix(m.o.Worker.Queue) + part(id)
	_, err := m.records.WriteRecord(ctx, name, tombstone, 0, m.ttl())
	if !errors.Is(err, pipeline.ErrConflict) {
		return err == nil, err
	}
	rec, _, err := m.read(ctx, name)
	if err != nil || rec.Revision == 0 {
		return false, err // it ended this moment: ask again
	}
	_, alive := workerOf(rec)
	return !alive, nil
}
