package main

import (
	"bufio"
	"encoding/binary"
	"errors"
	"io"
	"os"

	"go.mongodb.org/mongo-driver/bson"
)

// journal keeps what the server has answered to through the kill of its process.
// It is a file of BSON documents, one for each command that changed something:
//
//	{ops: [{put: DOCUMENT, ns}, {gone: ID, ns}, {index: MODEL, ns}, {unindex: NAME, ns}, {drop: true, ns},
//	       {session, number, reply}]}
//
// One write hands it to the operating system before the command is answered. It is
// not flushed: nobody cuts the power of a test. A last document that is not whole
// is of a command that was not answered.
type journal struct{ f *os.File }

// write appends the changes of one command.
func (j *journal) write(ops bson.A) error {
	if j == nil || len(ops) == 0 {
		return nil
	}
	b, err := bson.Marshal(bson.D{{Key: "ops", Value: ops}})
	if err == nil {
		_, err = j.f.Write(b)
	}
	return err
}

// recover makes the server what it was, and lets it go on with a journal of
// nothing but that.
func (s *server) recover(path string) error {
	if err := s.replay(path); err != nil {
		return err
	}
	next, err := os.Create(path + ".new")
	if err != nil {
		return err
	}
	w := bufio.NewWriter(next)
	fresh := &journal{next}
	if err := s.snapshot(func(op bson.D) error {
		b, err := bson.Marshal(bson.D{{Key: "ops", Value: bson.A{op}}})
		if err == nil {
			_, err = w.Write(b)
		}
		return err
	}); err != nil {
		return err
	}
	if err := errors.Join(w.Flush(), os.Rename(path+".new", path)); err != nil {
		return err
	}
	s.journal = fresh
	return nil
}

func (s *server) replay(path string) error {
	f, err := os.Open(path)
	if errors.Is(err, os.ErrNotExist) {
		return nil
	}
	if err != nil {
		return err
	}
	defer f.Close()
	r := bufio.NewReaderSize(f, 1<<20)
	for {
		raw, err := nextDocument(r)
		if err == io.EOF || err == io.ErrUnexpectedEOF {
			s.ops = nil // they are there already
			return nil
		}
		if err != nil {
			return err
		}
		ops, err := raw.Lookup("ops").Array().Values()
		if err != nil {
			return err
		}
		for _, op := range ops {
			if err := s.redo(op.Document()); err != nil {
				return err
			}
		}
		s.ops = s.ops[:0]
	}
}

func nextDocument(r io.Reader) (bson.Raw, error) {
	var size [4]byte
	if _, err := io.ReadFull(r, size[:]); err != nil {
		return nil, err
	}
	n := binary.LittleEndian.Uint32(size[:])
	if n < 5 || n > 16*maxMessage {
		return nil, errMessage
	}
	raw := make(bson.Raw, n)
	copy(raw, size[:])
	_, err := io.ReadFull(r, raw[4:])
	if err == io.EOF {
		err = io.ErrUnexpectedEOF
	}
	return raw, err
}

// redo carries out one change once more.
func (s *server) redo(op bson.Raw) error {
	namespace, _ := op.Lookup("ns").StringValueOK()
	if session, ok := op.Lookup("session").StringValueOK(); ok {
		reply := bson.D{}
		err := bson.Unmarshal(op.Lookup("reply").Document(), &reply)
		s.answered[session] = answered{op.Lookup("number").AsInt64(), reply}
		return err
	}
	if !op.Lookup("drop").IsZero() {
		delete(s.collections, namespace)
		return nil
	}
	c := s.collection(namespace)
	s.collections[namespace] = c
	if model, ok := op.Lookup("index").DocumentOK(); ok {
		return c.createIndex(model)
	}
	if name, ok := op.Lookup("unindex").StringValueOK(); ok {
		return c.dropIndex(name)
	}
	d, err := doc(op, "put")
	if err != nil {
		return err
	}
	if d != nil {
		return c.set(d)
	}
	var id any
	if err = op.Lookup("gone").Unmarshal(&id); err == nil {
		_, err = c.remove(&bson.D{{Key: "_id", Value: id}}, 1)
	}
	return err
}

// snapshot yields the changes that make an empty server what this one is.
func (s *server) snapshot(yield func(bson.D) error) error {
	for namespace, c := range s.collections {
		ns := bson.E{Key: "ns", Value: namespace}
		for name, x := range c.indexes {
			if name == "_id_" {
				continue
			}
			if err := yield(bson.D{{Key: "index", Value: indexModel(name, x.config)}, ns}); err != nil {
				return err
			}
		}
		for d := range c.all {
			if err := yield(bson.D{{Key: "put", Value: d.raw}, ns}); err != nil {
				return err
			}
		}
	}
	for session, a := range s.answered {
		if err := yield(a.op(session)); err != nil {
			return err
		}
	}
	return nil
}

// op is an answer as the journal keeps it.
func (a answered) op(session string) bson.D {
	return bson.D{{Key: "session", Value: session}, {Key: "number", Value: a.number}, {Key: "reply", Value: a.reply}}
}
