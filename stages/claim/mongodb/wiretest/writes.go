package main

import (
	"errors"

	"github.com/256dpi/lungo/bsonkit"
	"go.mongodb.org/mongo-driver/bson"
)

// documents are those of the message's sequence or, in a small message, of an
// array of that name.
func (r request) documents(name string) ([]bson.Raw, error) {
	if r.docs != nil {
		return r.docs, nil
	}
	list, ok := r.body.Lookup(name).ArrayOK()
	if !ok {
		return nil, failure{codeBadValue, name + " is missing"}
	}
	values, err := list.Values()
	out := make([]bson.Raw, len(values))
	for i, v := range values {
		out[i] = v.Document()
	}
	return out, err
}

// statements carries out the statements of a write. One that fails changes
// nothing and does not undo those before it; an ordered write ends with it.
func (r request) statements(name string, run func(i int, statement bson.Raw) error) (bson.A, error) {
	all, err := r.documents(name)
	if err != nil {
		return nil, err
	}
	ordered := r.body.Lookup("ordered").IsZero() || flagged(r.body, "ordered")
	var failed bson.A
	for i, statement := range all {
		if err := run(i, statement); err != nil {
			failed = append(failed, bson.D{{Key: "index", Value: int32(i)}, {Key: "code", Value: codeOf(err)}, {Key: "errmsg", Value: err.Error()}})
			if ordered {
				break
			}
		}
	}
	return failed, nil
}

func withErrors(reply bson.D, failed bson.A) bson.D {
	if failed != nil {
		reply = append(reply, bson.E{Key: "writeErrors", Value: failed})
	}
	return reply
}

func (s *server) insert(r request) (bson.D, error) {
	n := int32(0)
	failed, err := r.statements("documents", func(_ int, raw bson.Raw) error {
		d, err := decode(raw)
		if err != nil {
			return err
		}
		err = s.change(r.namespace(), func(c *collection) error { return c.insert(d) })
		if err == nil {
			n++
			s.log.inserted(r.namespace(), d)
		}
		return err
	})
	return withErrors(bson.D{{Key: "n", Value: n}}, failed), err
}

func (s *server) update(r request) (bson.D, error) {
	var matched, modified int32
	var upserted bson.A
	failed, err := r.statements("updates", func(i int, u bson.Raw) error {
		query, err := doc(u, "q")
		if err != nil {
			return err
		}
		change, err := doc(u, "u")
		if err != nil {
			return err // a pipeline, or a replacement: the driver sends neither
		}
		limit := 1
		if flagged(u, "multi") {
			limit = 0
		}
		res, err := s.modify(r.namespace(), query, change, nil, limit, flagged(u, "upsert"))
		if err != nil {
			return err
		}
		matched += int32(len(res.matched))
		modified += int32(len(res.modified))
		if res.upserted != nil {
			matched++
			upserted = append(upserted, bson.D{{Key: "index", Value: int32(i)}, {Key: "_id", Value: bsonkit.Get(res.upserted, "_id")}})
		}
		return nil
	})
	reply := bson.D{{Key: "n", Value: matched}, {Key: "nModified", Value: modified}}
	if upserted != nil {
		reply = append(reply, bson.E{Key: "upserted", Value: upserted})
	}
	return withErrors(reply, failed), err
}

// modification is what became of an update.
type modification struct {
	matched  []*document
	modified []changed
	upserted bsonkit.Doc
}

// modify updates what matches or, for an upsert, adds it.
func (s *server) modify(namespace string, query, change, order bsonkit.Doc, limit int, upsert bool) (res modification, err error) {
	if len(*change) == 0 || (*change)[0].Key[0] != '$' {
		return res, errors.New("whole documents are never replaced")
	}
	err = s.change(namespace, func(c *collection) error {
		if res.matched, res.modified, err = c.update(query, change, order, limit); err == nil && len(res.matched) == 0 && upsert {
			res.upserted, err = c.upsert(query, change)
		}
		return err
	})
	switch {
	case err != nil:
	case res.upserted != nil:
		s.log.inserted(namespace, res.upserted)
	default:
		s.log.updated(namespace, res.modified)
	}
	return res, err
}

func (s *server) delete(r request) (bson.D, error) {
	n := int32(0)
	failed, err := r.statements("deletes", func(_ int, d bson.Raw) error {
		query, err := doc(d, "q")
		if err != nil {
			return err
		}
		return s.change(r.namespace(), func(c *collection) error {
			gone, err := c.remove(query, number(d, "limit"))
			n += int32(gone)
			return err
		})
	})
	return withErrors(bson.D{{Key: "n", Value: n}}, failed), err
}

// findAndModify updates one document and returns it as it is then.
func (s *server) findAndModify(r request) (bson.D, error) {
	var parts [3]bsonkit.Doc
	for i, name := range [...]string{"query", "update", "sort"} {
		var err error
		if parts[i], err = doc(r.body, name); err != nil {
			return nil, err
		}
	}
	if parts[1] == nil || !flagged(r.body, "new") {
		return nil, failure{codeBadValue, "only updates that return the new document are known"}
	}
	res, err := s.modify(r.namespace(), parts[0], parts[1], parts[2], 1, false)
	if err != nil {
		return nil, err
	}
	if len(res.matched) == 0 {
		return bson.D{{Key: "value", Value: nil}}, nil
	}
	projection, err := doc(r.body, "fields")
	if err != nil {
		return nil, err
	}
	value, err := res.matched[0].projected(projection)
	return bson.D{{Key: "value", Value: value}}, err
}
