package main

import (
	"cmp"
	"fmt"
	"slices"
	"strings"

	"github.com/256dpi/lungo/bsonkit"
	"github.com/256dpi/lungo/mongokit"
	"github.com/tidwall/btree"
	"go.mongodb.org/mongo-driver/bson"
)

// document is what a collection has under one _id.
type document struct {
	at  uint64 // its place in the order of the inserts, from 1
	doc bsonkit.Doc
	raw bson.Raw // the same as bytes
}

// index has documents in the order of its columns, for plans to walk over: see
// plan.go. What a unique one refuses is for mongokit to say.
type index struct {
	*mongokit.Index // the description; of unique ones also who is in it
	config          mongokit.IndexConfig
	columns         []bsonkit.Column
	fields          map[string]bool // that decide who is in it and where; nil: any may
	order           *btree.BTreeG[entry]
	arrays          int // documents that are not in order, because a column is an array there
}

// entry is a document's place in an index.
type entry struct {
	keys []any // the values of the columns; in a probe the first of them
	*document
}

func newIndex(described *mongokit.Index) (*index, error) {
	x := &index{Index: described, config: described.Config(), fields: map[string]bool{}}
	columns, err := mongokit.Columns(x.config.Key)
	if err != nil {
		return nil, err
	}
	x.columns = columns
	for _, c := range columns {
		x.fields[bsonkit.PathSegment(c.Path)] = true
	}
	if x.config.Partial != nil {
		for _, e := range *x.config.Partial {
			x.fields[bsonkit.PathSegment(e.Key)] = true
			if strings.HasPrefix(e.Key, "$") {
				x.fields = nil
				break
			}
		}
	}
	x.order = newOrder(columns)
	return x, nil
}

// newOrder is an empty tree. Documents whose columns are equal are in the order
// of their inserts.
func newOrder(columns []bsonkit.Column) *btree.BTreeG[entry] {
	less := func(a, b entry) bool {
		for i := range min(len(a.keys), len(b.keys)) {
			if c := compare(a.keys[i], b.keys[i], columns[i]); c != 0 {
				return c < 0
			}
		}
		return a.at < b.at
	}
	return btree.NewBTreeGOptions(less, btree.Options{NoLocks: true})
}

func compare(a, b any, c bsonkit.Column) int {
	if c.Reverse {
		return bsonkit.Compare(b, a)
	}
	return bsonkit.Compare(a, b)
}

// affected reports that a change of these fields may move a document.
func (x *index) affected(changed map[string]any) bool {
	if x.fields == nil {
		return true
	}
	for path := range changed {
		if x.fields[bsonkit.PathSegment(path)] {
			return true
		}
	}
	return false
}

// has reports that a document belongs in the index.
func (x *index) has(d bsonkit.Doc) (bool, error) {
	if x.config.Partial == nil {
		return true, nil
	}
	return mongokit.Match(d, x.config.Partial)
}

// keys are a document's values of the columns; nil if one of them is an array.
func (x *index) keys(d bsonkit.Doc) []any {
	keys := make([]any, len(x.columns))
	for i, c := range x.columns {
		v, many := bsonkit.All(d, c.Path, true, true)
		if _, array := v.(bson.A); array || many {
			return nil
		}
		bsonkit.Inspect(v) // panics for what it cannot compare: before anything has changed
		keys[i] = v
	}
	return keys
}

// add takes a document in, or fails and changes nothing.
func (x *index) add(d *document) error {
	in, err := x.has(d.doc)
	if err != nil || !in {
		return err
	}
	keys := x.keys(d.doc)
	if x.config.Unique {
		if ok, err := x.Add(d.doc); err != nil || !ok {
			return fmt.Errorf("duplicate document for index on %v", *x.config.Key)
		}
	}
	if keys == nil {
		x.arrays++
	} else {
		x.order.Set(entry{keys, d})
	}
	return nil
}

// remove takes out a document that is as it was when it was added.
func (x *index) remove(d *document) error {
	in, err := x.has(d.doc)
	if err != nil || !in {
		return err
	}
	if x.config.Unique {
		if ok, err := x.Remove(d.doc); err != nil || !ok {
			return fmt.Errorf("index on %v has lost a document: %v", *x.config.Key, err)
		}
	}
	if keys := x.keys(d.doc); keys == nil {
		x.arrays--
	} else {
		x.order.Delete(entry{keys, d})
	}
	return nil
}

// indexes are those of a collection, by name.
type indexes map[string]*index

// add takes a document into all, or fails and changes nothing.
func (all indexes) add(d *document) error {
	var in []*index
	for _, x := range all {
		err := x.add(d)
		if err == nil {
			in = append(in, x)
			continue
		}
		for _, x := range in {
			if undo := x.remove(d); undo != nil {
				panic(undo) // it was added a moment ago
			}
		}
		return err
	}
	return nil
}

func (all indexes) remove(d *document) error {
	for _, x := range all {
		if err := x.remove(d); err != nil {
			return err
		}
	}
	return nil
}

// affected are those that a change of these fields concerns.
func (all indexes) affected(changed map[string]any) (some indexes) {
	some = indexes{}
	for name, x := range all {
		if x.affected(changed) {
			some[name] = x
		}
	}
	return some
}

// byInsert sorts documents into the order in which a scan of all finds them.
func byInsert(list []*document) {
	slices.SortFunc(list, func(a, b *document) int { return cmp.Compare(a.at, b.at) })
}
