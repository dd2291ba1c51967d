package main

import (
	"crypto/rand"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/256dpi/lungo/bsonkit"
	"github.com/256dpi/lungo/mongokit"
	"go.mongodb.org/mongo-driver/bson"
)

const (
	codeCursorNotFound     = 43
	codeHistoryLost        = 286
	codeStreamsUnsupported = 40573

	// awaitData is how long a getMore on a stream waits for events if it does not say.
	awaitData = time.Second
	// maxEvents are kept for streams that read slowly.
	maxEvents = 10_000
	// maxBatch bounds a batch of documents, in bytes.
	maxBatch = 16 << 20
)

// cursor has what a client has not yet been given: the rest of a result, or the
// place of a change stream in the log of events.
type cursor struct {
	namespace string
	rest      []bson.Raw
	stream    *stream
}

// cursors are those that clients may go on with.
type cursors struct {
	open      map[int64]*cursor
	last      int64
	noStreams bool // as a server that has no change streams
}

// stream is a change stream: which events it shows, and how.
type stream struct {
	next          int // in the log of events
	match, fields []bsonkit.Doc
}

// eventLog is what change streams show: what was written, oldest first.
type eventLog struct {
	name    string // differs from that of the log before a restart
	events  []bson.D
	dropped int           // events before those
	grown   chan struct{} // closed with the next event
}

func newEventLog() eventLog {
	return eventLog{name: rand.Text(), grown: make(chan struct{})}
}

func (l *eventLog) end() int { return l.dropped + len(l.events) }

// token names the place of an event, for a client to resume after it.
func (l *eventLog) token(at int) bson.D {
	return bson.D{{Key: "_data", Value: fmt.Sprint(l.name, "-", at)}}
}

// after is the place that follows a token's; false if its event is not here.
func (l *eventLog) after(token bson.Raw) (int, bool) {
	name, number, _ := strings.Cut(token.Lookup("_data").StringValue(), "-")
	at, err := strconv.Atoi(number)
	return at + 1, err == nil && name == l.name && at+1 >= l.dropped
}

func (l *eventLog) add(namespace, operation string, id any, more bson.E) {
	l.events = append(l.events, bson.D{
		{Key: "_id", Value: l.token(l.end())}, {Key: "operationType", Value: operation}, {Key: "ns", Value: namespace},
		{Key: "documentKey", Value: bson.D{{Key: "_id", Value: id}}}, more,
	})
	if len(l.events) > maxEvents {
		l.events, l.dropped = slices.Clone(l.events[maxEvents/2:]), l.dropped+maxEvents/2
	}
	close(l.grown)
	l.grown = make(chan struct{})
}

func (l *eventLog) inserted(namespace string, d bsonkit.Doc) {
	l.add(namespace, "insert", bsonkit.Get(d, "_id"), bson.E{Key: "fullDocument", Value: *d})
}

func (l *eventLog) updated(namespace string, modified []changed) {
	for _, d := range modified {
		set, unset := bson.D{}, bson.A{}
		for name, value := range d.fields {
			if value == bsonkit.Missing {
				unset = append(unset, name)
			} else {
				set = append(set, bson.E{Key: name, Value: value})
			}
		}
		l.add(namespace, "update", bsonkit.Get(d.doc, "_id"), bson.E{Key: "updateDescription",
			Value: bson.D{{Key: "updatedFields", Value: set}, {Key: "removedFields", Value: unset}}})
	}
}

// begin keeps a cursor and answers with its first batch.
func (s *server) begin(c *cursor) bson.D {
	s.cursors.last++
	s.cursors.open[s.cursors.last] = c
	return s.batch(s.cursors.last, "firstBatch")
}

// batch answers with as much of the rest as fits, and forgets a cursor that has
// no more.
func (s *server) batch(id int64, name string) bson.D {
	c := s.cursors.open[id]
	docs, size := bson.A{}, 0
	for len(c.rest) > 0 {
		if size += len(c.rest[0]); size > maxBatch && len(docs) > 0 {
			break
		}
		docs, c.rest = append(docs, c.rest[0]), c.rest[1:]
	}
	if len(c.rest) == 0 && c.stream == nil {
		delete(s.cursors.open, id)
		id = 0
	}
	reply := bson.D{{Key: "id", Value: id}, {Key: "ns", Value: c.namespace}, {Key: name, Value: docs}}
	if c.stream != nil && len(c.rest) == 0 {
		reply = append(reply, bson.E{Key: "postBatchResumeToken", Value: s.log.token(c.stream.next - 1)})
	}
	return bson.D{{Key: "cursor", Value: reply}}
}

// watch opens a change stream on a collection: $changeStream, and then $match and
// $project in any number.
func (s *server) watch(r request, stages []bson.RawValue) (bson.D, error) {
	if s.cursors.noStreams {
		return nil, failure{codeStreamsUnsupported, "The $changeStream stage is only supported on replica sets"}
	}
	st := &stream{next: s.log.end()}
	if token, ok := stages[0].Document().Lookup("$changeStream", "resumeAfter").DocumentOK(); ok {
		if st.next, ok = s.log.after(token); !ok {
			return nil, failure{codeHistoryLost, "the resume token is from before this server's memory"}
		}
	}
	for _, stage := range stages[1:] {
		match, err := doc(stage.Document(), "$match")
		if err != nil {
			return nil, err
		}
		fields, err := doc(stage.Document(), "$project")
		if err != nil {
			return nil, err
		}
		if match == nil && fields == nil {
			return nil, failure{codeBadValue, "a change stream here has $match and $project only"}
		}
		st.match, st.fields = append(st.match, match), append(st.fields, fields)
	}
	return s.begin(&cursor{namespace: r.namespace(), stream: st}), nil
}

// show runs an event through the stages; nil if one does not let it pass.
func (st *stream) show(event bson.D) (bsonkit.Doc, error) {
	shown := &event
	for i := range st.match {
		if st.match[i] != nil {
			if ok, err := mongokit.Match(shown, st.match[i]); !ok || err != nil {
				return nil, err
			}
		}
		if st.fields[i] != nil {
			var err error
			if shown, err = mongokit.Project(shown, st.fields[i]); err != nil {
				return nil, err
			}
		}
	}
	return shown, nil
}

// getMore goes on with a cursor. On a stream without events it waits; the lock is
// free meanwhile.
func (s *server) getMore(r request) (bson.D, error) {
	id, _ := r.body.Lookup("getMore").AsInt64OK()
	wait := awaitData
	if ms := number(r.body, "maxTimeMS"); ms > 0 {
		wait = time.Duration(ms) * time.Millisecond
	}
	timeout := time.NewTimer(wait)
	defer timeout.Stop()
	for over := false; ; {
		c := s.cursors.open[id]
		if c == nil {
			return nil, failure{codeCursorNotFound, fmt.Sprintf("cursor id %d not found", id)}
		}
		if err := s.advance(c); err != nil {
			return nil, err
		}
		if c.stream == nil || len(c.rest) > 0 || over {
			return s.batch(id, "nextBatch"), nil
		}
		grown := s.log.grown
		s.mu.Unlock()
		select {
		case <-grown:
		case <-timeout.C:
			over = true
		}
		s.mu.Lock()
		s.ops = nil // another command's, which is over
	}
}

// advance moves a stream to the end of the log.
func (s *server) advance(c *cursor) error {
	st := c.stream
	if st == nil {
		return nil
	}
	for st.next = max(st.next, s.log.dropped); st.next < s.log.end(); st.next++ {
		event := s.log.events[st.next-s.log.dropped]
		if ns, _ := event[2].Value.(string); ns != c.namespace {
			continue
		}
		shown, err := st.show(event)
		if err != nil {
			return err
		}
		if shown == nil {
			continue
		}
		raw, err := bson.Marshal(shown)
		if err != nil {
			return err
		}
		c.rest = append(c.rest, raw)
	}
	return nil
}

func (s *server) killCursors(r request) (bson.D, error) {
	ids, err := r.body.Lookup("cursors").Array().Values()
	for _, v := range ids {
		id, _ := v.AsInt64OK()
		delete(s.cursors.open, id)
	}
	return bson.D{}, err
}
