package main

import (
	"errors"
	"fmt"

	"github.com/256dpi/lungo/bsonkit"
	"github.com/256dpi/lungo/mongokit"
	"go.mongodb.org/mongo-driver/bson"
)

// collection is a mongokit.Collection whose changes are all or nothing, are told
// to the journal, and look at few documents. mongokit itself leaves half a change
// behind when it fails, and matches, or even sorts, all documents there are.
type collection struct {
	*mongokit.Collection
	by   shelves
	note func(op ...bson.E) // a change, for the journal
}

func newCollection(namespace string, note func(op ...bson.E)) *collection {
	return &collection{mongokit.NewCollection(true), shelves{}, func(op ...bson.E) {
		note(append(op, bson.E{Key: "ns", Value: namespace})...)
	}}
}

// Find returns what matches, in order.
func (c *collection) Find(query, sort bsonkit.Doc, skip, limit int) (*mongokit.Result, error) {
	few := &mongokit.Collection{Documents: &bsonkit.Set{List: c.candidates(query)}}
	return few.Find(query, sort, skip, limit)
}

// candidates are documents among which are all that match.
func (c *collection) candidates(query bsonkit.Doc) bsonkit.List {
	if list, ok := c.by.narrow(query); ok {
		return list
	}
	return c.Documents.List
}

// over is a copy to try a change of some documents on.
func (c *collection) over(list bsonkit.List) *mongokit.Collection {
	copied := &mongokit.Collection{Documents: bsonkit.NewSet(list), Indexes: map[string]*mongokit.Index{}}
	for name, index := range c.Indexes {
		copied.Indexes[name] = index.Clone() // copy on write
	}
	return copied
}

// Insert adds a document, or leaves the indexes as they were. A copy of all of
// them for each document would cost more than the rest.
func (c *collection) Insert(d bsonkit.Doc) error {
	if bsonkit.Get(d, "_id") == bsonkit.Missing {
		return errors.New("the document has no _id: drivers add one")
	}
	var in []*mongokit.Index
	for name, index := range c.Indexes {
		ok, err := index.Add(d)
		if err == nil && ok {
			in = append(in, index)
			continue
		}
		if err == nil {
			err = fmt.Errorf("duplicate document for index %q", name)
		}
		for _, index := range in {
			if _, undo := index.Remove(d); undo != nil {
				return errors.Join(err, undo)
			}
		}
		return err
	}
	c.add(d)
	return nil
}

// Upsert adds the document that a query and an update describe.
func (c *collection) Upsert(query, change bsonkit.Doc) (*mongokit.Result, error) {
	tried := c.over(nil)
	res, err := tried.Upsert(query, nil, change, nil)
	if err == nil {
		c.Indexes = tried.Indexes
		c.add(res.Upserted)
	}
	return res, err
}

// Update changes what matches.
func (c *collection) Update(query, change, sort bsonkit.Doc, limit int) (*mongokit.Result, error) {
	before := c.candidates(query)
	tried := c.over(before)
	res, err := tried.Update(query, change, sort, 0, limit, nil)
	if err != nil {
		return nil, err
	}
	c.take(before, tried)
	return res, nil
}

// take makes a change of some documents that was tried one of the collection.
func (c *collection) take(before bsonkit.List, tried *mongokit.Collection) {
	c.Indexes = tried.Indexes
	for i, after := range tried.Documents.List { // each stands where the old one stood
		if old := before[i]; old != after {
			c.Documents.Replace(old, after)
			c.by.remove(old)
			c.by.add(after)
			c.put(after)
		}
	}
}

// set puts a document in the place of the one with its id, if there is one.
func (c *collection) set(d bsonkit.Doc) error {
	query := &bson.D{{Key: "_id", Value: bsonkit.Get(d, "_id")}}
	before := c.candidates(query)
	tried := c.over(before)
	res, err := tried.Replace(query, d, nil)
	if err == nil && len(res.Matched) == 0 {
		err = c.Insert(d)
	} else if err == nil {
		c.take(before, tried)
	}
	return err
}

// Delete removes what matches.
func (c *collection) Delete(query bsonkit.Doc, limit int) (*mongokit.Result, error) {
	tried := c.over(c.candidates(query))
	res, err := tried.Delete(query, nil, 0, limit)
	if err != nil {
		return nil, err
	}
	c.Indexes = tried.Indexes
	for _, d := range res.Matched {
		c.Documents.Remove(d)
		c.by.remove(d)
		c.note(bson.E{Key: "gone", Value: bsonkit.Get(d, "_id")})
	}
	return res, nil
}

// CreateIndex adds an index as a command describes it.
func (c *collection) CreateIndex(model bson.Raw) error {
	config, err := indexConfig(model)
	if err != nil {
		return err
	}
	tried := c.over(c.Documents.List)
	if _, err := tried.CreateIndex(model.Lookup("name").StringValue(), config); err != nil {
		return err
	}
	c.Indexes = tried.Indexes
	c.note(bson.E{Key: "index", Value: model})
	return nil
}

// DropIndex removes an index.
func (c *collection) DropIndex(name string) error {
	tried := c.over(nil)
	if _, err := tried.DropIndex(name); err != nil {
		return err
	}
	c.Indexes = tried.Indexes
	c.note(bson.E{Key: "unindex", Value: name})
	return nil
}

// add takes a document that is in the indexes already.
func (c *collection) add(d bsonkit.Doc) {
	c.Documents.Add(d)
	c.by.add(d)
	c.put(d)
}

func (c *collection) put(d bsonkit.Doc) { c.note(bson.E{Key: "put", Value: *d}) }
