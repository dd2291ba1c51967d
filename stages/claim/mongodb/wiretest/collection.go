package main

import (
	"bytes"
	"errors"
	"fmt"
	"maps"

	"github.com/256dpi/lungo/bsonkit"
	"github.com/256dpi/lungo/mongokit"
	"github.com/tidwall/btree"
	"go.mongodb.org/mongo-driver/bson"
)

// collection has documents and their indexes. Its changes are all or nothing, and
// told to the journal. It stands in for mongokit.Collection, which matches, and
// even sorts, all documents there are, and leaves half a change behind when it
// fails.
type collection struct {
	documents *btree.BTreeG[entry] // all, in the order of their inserts
	indexes   indexes
	last      uint64             // insert
	note      func(op ...bson.E) // a change, for the journal
}

func newCollection(namespace string, note func(op ...bson.E)) *collection {
	c := &collection{documents: newOrder(nil), indexes: indexes{}, note: func(op ...bson.E) {
		note(append(op, bson.E{Key: "ns", Value: namespace})...)
	}}
	for name, described := range mongokit.NewCollection(true).Indexes { // that of _id
		x, err := newIndex(described)
		if err != nil {
			panic(err)
		}
		c.indexes[name] = x
	}
	return c
}

// all yields every document, in the order of the inserts.
func (c *collection) all(yield func(*document) bool) {
	c.documents.Scan(func(e entry) bool { return yield(e.document) })
}

// insert adds a document.
func (c *collection) insert(d bsonkit.Doc) error {
	if bsonkit.Get(d, "_id") == bsonkit.Missing {
		return errors.New("the document has no _id: drivers add one")
	}
	raw, err := bson.Marshal(d)
	if err != nil {
		return err
	}
	added := &document{c.last + 1, d, raw}
	if err := c.indexes.add(added); err != nil {
		return err
	}
	c.last++
	c.documents.Set(entry{nil, added})
	c.put(added)
	return nil
}

// upsert adds the document that a query and an update describe.
func (c *collection) upsert(query, change bsonkit.Doc) (bsonkit.Doc, error) {
	res, err := mongokit.NewCollection(false).Upsert(query, nil, change, nil)
	if err != nil {
		return nil, err
	}
	return res.Upserted, c.insert(res.Upserted)
}

// changed is a document that is another than before.
type changed struct {
	*document
	fields map[string]any // the new values of those that were set; bsonkit.Missing if removed

	before, after bson.D
	bytes         bson.Raw // of after
	in            indexes  // that it may move in
}

// update changes what matches: all, or the first so many.
func (c *collection) update(query, change, sort bsonkit.Doc, limit int) (matched []*document, modified []changed, err error) {
	matched, err = c.find(query, sort, limit)
	if err != nil {
		return nil, nil, err
	}
	for _, d := range matched {
		next := bsonkit.Clone(d.doc)
		applied, err := mongokit.Apply(next, query, change, false, nil)
		if err != nil {
			return nil, nil, err
		}
		if bsonkit.Get(next, "_id") != bsonkit.Get(d.doc, "_id") {
			return nil, nil, errors.New("document _id is immutable")
		}
		raw, err := bson.Marshal(next)
		if err != nil {
			return nil, nil, err
		}
		if !bytes.Equal(raw, d.raw) {
			modified = append(modified, changed{d, applied.Changed, *d.doc, *next, raw, c.indexes.affected(applied.Changed)})
		}
	}
	return matched, modified, c.apply(modified)
}

// apply makes changes, all or none.
func (c *collection) apply(changes []changed) error {
	for _, ch := range changes {
		if err := ch.in.remove(ch.document); err != nil {
			return err
		}
		*ch.doc = ch.after
	}
	for i, ch := range changes {
		err := ch.in.add(ch.document)
		if err == nil {
			continue
		}
		for _, done := range changes[:i] {
			if undo := done.in.remove(done.document); undo != nil {
				panic(undo)
			}
		}
		for _, ch := range changes {
			*ch.doc = ch.before
			if undo := ch.in.add(ch.document); undo != nil {
				panic(undo) // it was there a moment ago
			}
		}
		return err
	}
	for _, ch := range changes {
		ch.document.raw = ch.bytes
		c.put(ch.document)
	}
	return nil
}

// set puts a document in the place of the one with its id, if there is one.
func (c *collection) set(d bsonkit.Doc) error {
	found, err := c.find(&bson.D{{Key: "_id", Value: bsonkit.Get(d, "_id")}}, nil, 1)
	if err != nil || len(found) == 0 {
		return errors.Join(err, c.insert(d))
	}
	raw, err := bson.Marshal(d)
	if err != nil {
		return err
	}
	return c.apply([]changed{{document: found[0], before: *found[0].doc, after: *d, bytes: raw, in: c.indexes}})
}

// remove deletes what matches: all, or the first so many.
func (c *collection) remove(query bsonkit.Doc, limit int) (n int, err error) {
	found, err := c.find(query, nil, limit)
	if err != nil {
		return 0, err
	}
	for _, d := range found {
		if err := c.indexes.remove(d); err != nil {
			return 0, err
		}
		c.documents.Delete(entry{nil, d})
		c.note(bson.E{Key: "gone", Value: bsonkit.Get(d.doc, "_id")})
	}
	return len(found), nil
}

// createIndex adds an index as a command describes it; one that is there already
// stays.
func (c *collection) createIndex(model bson.Raw) error {
	config, err := indexConfig(model)
	if err != nil {
		return err
	}
	name := model.Lookup("name").StringValue()
	tried := &mongokit.Collection{Documents: bsonkit.NewSet(nil), Indexes: map[string]*mongokit.Index{}}
	for name, x := range c.indexes {
		tried.Indexes[name] = x.Index
	}
	if _, err := tried.CreateIndex(name, config); err != nil {
		return err
	}
	if x := c.indexes[name]; x != nil && x.Index == tried.Indexes[name] {
		return nil
	}
	x, err := newIndex(tried.Indexes[name])
	if err != nil {
		return err
	}
	for d := range c.all {
		if err := x.add(d); err != nil {
			return err
		}
	}
	c.indexes = maps.Clone(c.indexes)
	c.indexes[name] = x
	c.note(bson.E{Key: "index", Value: model})
	return nil
}

// dropIndex removes an index.
func (c *collection) dropIndex(name string) error {
	if c.indexes[name] == nil {
		return fmt.Errorf("missing index %q", name)
	}
	delete(c.indexes, name)
	c.note(bson.E{Key: "unindex", Value: name})
	return nil
}

func (c *collection) put(d *document) { c.note(bson.E{Key: "put", Value: d.raw}) }
