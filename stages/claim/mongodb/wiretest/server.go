package main

import (
	"fmt"
	"os"
	"strings"
	"sync"
	"time"

	"go.mongodb.org/mongo-driver/bson"
)

// Error codes of MongoDB's error_codes.yml.
const (
	codeBadValue          = 2
	codeNamespaceNotFound = 26
	codeIndexNotFound     = 27
	codeCommandNotFound   = 59
	codeDuplicateKey      = 11000
)

// server is a replica set of one. One lock makes each command atomic; of the
// driver's guarantees that is the only one it gives away.
type server struct {
	addr        string
	skew        time.Duration
	mu          sync.Mutex
	collections map[string]*collection // by database.collection
	answered    map[string]answered    // by session
	commands    map[string]func(request) (bson.D, error)
	journal     *journal // nil: everything is forgotten
	ops         bson.A   // of the command under way, for the journal
	log         eventLog
	cursors     cursors
}

// answered is the last numbered write of a session. A driver sends it again,
// under the same number, if it did not hear the answer.
type answered struct {
	number int64
	reply  bson.D
}

// request is a command that is to be carried out.
type request struct {
	message
	db, target string // the command's own value, usually the collection
}

func (r request) namespace() string { return r.db + "." + r.target }

// failure is an error with a code, for the driver to tell apart.
type failure struct {
	code    int32
	message string
}

func (f failure) Error() string { return f.message }

func newServer(addr string, skew time.Duration) *server {
	s := &server{addr: addr, skew: skew, collections: map[string]*collection{}, answered: map[string]answered{}, log: newEventLog(), cursors: cursors{open: map[int64]*cursor{}}}
	nothing := func(request) (bson.D, error) { return bson.D{}, nil }
	s.commands = map[string]func(request) (bson.D, error){
		"hello": s.hello, "ismaster": s.hello, "ping": nothing, "endsessions": nothing, "killcursors": s.killCursors, "getmore": s.getMore,
		"insert": s.insert, "update": s.update, "delete": s.delete, "findandmodify": s.findAndModify,
		"find": s.find, "aggregate": s.aggregate, "createindexes": s.createIndexes, "listindexes": s.listIndexes, "drop": s.drop, "dropindexes": s.dropIndexes,
	}
	return s
}

// answer carries out one command. mongokit panics on some input that it does
// not support; that is an answer, too.
func (s *server) answer(m message) (reply bson.D) {
	defer func() {
		if r := recover(); r != nil {
			reply = refusal(failure{codeBadValue, fmt.Sprint("panic: ", r)})
		}
	}()
	first, err := m.body.IndexErr(0)
	if err != nil {
		return refusal(err)
	}
	run := s.commands[strings.ToLower(first.Key())]
	if run == nil {
		return refusal(failure{codeCommandNotFound, "no such command: '" + first.Key() + "'"})
	}
	r := request{message: m}
	r.db, _ = m.body.Lookup("$db").StringValueOK()
	r.target, _ = first.Value().StringValueOK()
	s.mu.Lock()
	defer s.mu.Unlock()
	number, numbered := m.body.Lookup("txnNumber").AsInt64OK()
	session := m.body.Lookup("lsid").String()
	if last := s.answered[session]; numbered && last.number == number {
		return last.reply
	}
	s.ops = nil
	if reply, err = run(r); err != nil {
		reply = refusal(err) // of what came before it, something may have changed
	} else {
		reply = append(reply, bson.E{Key: "ok", Value: 1.0})
		if numbered {
			s.answered[session] = answered{number, reply}
			s.ops = append(s.ops, s.answered[session].op(session))
		}
	}
	if err := s.journal.write(s.ops); err != nil {
		fmt.Fprintln(os.Stderr, "wiretest: the journal:", err)
		os.Exit(1) // as a database does whose disk fails
	}
	return reply
}

func refusal(err error) bson.D {
	return bson.D{{Key: "ok", Value: 0.0}, {Key: "errmsg", Value: err.Error()}, {Key: "code", Value: codeOf(err)}}
}

// codeOf tells a violated unique index, for which mongokit has no type.
func codeOf(err error) int32 {
	if f, ok := err.(failure); ok {
		return f.code
	}
	if strings.Contains(err.Error(), "duplicate document for index") {
		return codeDuplicateKey
	}
	return codeBadValue
}

func (s *server) hello(request) (bson.D, error) {
	return bson.D{
		{Key: "helloOk", Value: true}, {Key: "ismaster", Value: true}, {Key: "isWritablePrimary", Value: true},
		{Key: "setName", Value: "rs0"}, {Key: "setVersion", Value: int32(1)}, {Key: "hosts", Value: bson.A{s.addr}},
		{Key: "primary", Value: s.addr}, {Key: "me", Value: s.addr}, {Key: "localTime", Value: time.Now().Add(s.skew)},
		{Key: "maxBsonObjectSize", Value: int32(16 << 20)}, {Key: "maxMessageSizeBytes", Value: int32(maxMessage)},
		{Key: "maxWriteBatchSize", Value: int32(100_000)}, {Key: "logicalSessionTimeoutMinutes", Value: int32(30)},
		{Key: "minWireVersion", Value: int32(0)}, {Key: "maxWireVersion", Value: int32(21)}, {Key: "readOnly", Value: false},
	}, nil
}

// collection returns a collection, a new one if there is none.
func (s *server) collection(namespace string) *collection {
	if c := s.collections[namespace]; c != nil {
		return c
	}
	return newCollection(namespace, func(op ...bson.E) {
		if s.journal != nil {
			s.ops = append(s.ops, bson.D(op))
		}
	})
}

// change makes one write, and keeps the collection if it is new.
func (s *server) change(namespace string, write func(*collection) error) error {
	c := s.collection(namespace)
	if err := write(c); err != nil {
		return err
	}
	s.collections[namespace] = c
	return nil
}
