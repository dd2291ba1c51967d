package main

import (
	"fmt"
	"time"

	"github.com/256dpi/lungo/bsonkit"
	"github.com/256dpi/lungo/mongokit"
	"go.mongodb.org/mongo-driver/bson"
)

// answerWith answers with documents, as many at once as a message holds.
func (s *server) answerWith(r request, docs []bson.Raw) bson.D {
	return s.begin(&cursor{namespace: r.namespace(), rest: docs})
}

// doc reads a document of a command; nil if it has none of that name.
func doc(in bson.Raw, name string) (bsonkit.Doc, error) {
	v := in.Lookup(name)
	if v.IsZero() {
		return nil, nil
	}
	d, ok := v.DocumentOK()
	if !ok {
		return nil, fmt.Errorf("%s is not a document", name)
	}
	return decode(d)
}

func decode(raw bson.Raw) (bsonkit.Doc, error) {
	d := bson.D{}
	err := bson.Unmarshal(raw, &d)
	return &d, err
}

// number reads a number of any type; 0 if there is none.
func number(in bson.Raw, name string) int {
	n, _ := in.Lookup(name).AsInt64OK()
	return int(n)
}

func flagged(in bson.Raw, name string) bool {
	v, _ := in.Lookup(name).BooleanOK()
	return v
}

func (s *server) find(r request) (bson.D, error) {
	filter, err := doc(r.body, "filter")
	if err != nil {
		return nil, err
	}
	order, err := doc(r.body, "sort")
	if err != nil {
		return nil, err
	}
	projection, err := doc(r.body, "projection")
	if err != nil {
		return nil, err
	}
	skip, limit := number(r.body, "skip"), number(r.body, "limit")
	if limit > 0 {
		limit += skip
	}
	found, err := s.collection(r.namespace()).find(filter, order, limit)
	if err != nil {
		return nil, err
	}
	var docs []bson.Raw
	for _, d := range found[min(skip, len(found)):] {
		seen, err := d.projected(projection)
		if err != nil {
			return nil, err
		}
		docs = append(docs, seen)
	}
	return s.answerWith(r, docs), nil
}

// projected is the document with the fields that are asked for; nil: all.
func (d *document) projected(projection bsonkit.Doc) (bson.Raw, error) {
	if projection == nil {
		return d.raw, nil
	}
	out, err := mongokit.Project(d.doc, projection)
	if err != nil {
		return nil, err
	}
	return bson.Marshal(out)
}

var errAggregate = failure{codeBadValue, "an aggregation here is a $match and a $group that counts by one field"}

// aggregate counts by one field, or opens a change stream.
func (s *server) aggregate(r request) (bson.D, error) {
	stages, err := r.body.Lookup("pipeline").Array().Values()
	if err != nil {
		return nil, err
	}
	if len(stages) > 0 && !stages[0].Document().Lookup("$changeStream").IsZero() {
		return s.watch(r, stages)
	}
	if len(stages) != 2 {
		return nil, errAggregate
	}
	match, err := doc(stages[0].Document(), "$match")
	if err != nil {
		return nil, err
	}
	by, ok := stages[1].Document().Lookup("$group", "_id").StringValueOK()
	if match == nil || !ok || len(by) < 2 {
		return nil, errAggregate
	}
	found, err := s.collection(r.namespace()).find(match, nil, 0)
	if err != nil {
		return nil, err
	}
	counts := map[any]int32{}
	for _, d := range found {
		counts[bsonkit.Get(d.doc, by[1:])]++
	}
	var groups []bson.Raw
	for value, n := range counts {
		group, err := bson.Marshal(bson.D{{Key: "_id", Value: value}, {Key: "n", Value: n}})
		if err != nil {
			return nil, err
		}
		groups = append(groups, group)
	}
	return s.answerWith(r, groups), nil
}

func (s *server) listIndexes(r request) (bson.D, error) {
	c := s.collections[r.namespace()]
	if c == nil {
		return nil, failure{codeNamespaceNotFound, "ns does not exist: " + r.namespace()}
	}
	var docs []bson.Raw
	for name, x := range c.indexes {
		model, err := bson.Marshal(indexModel(name, x.config))
		if err != nil {
			return nil, err
		}
		docs = append(docs, model)
	}
	return s.answerWith(r, docs), nil
}

// indexModel describes an index as commands do.
func indexModel(name string, config mongokit.IndexConfig) bson.D {
	d := bson.D{{Key: "v", Value: int32(2)}, {Key: "key", Value: *config.Key}, {Key: "name", Value: name}}
	if config.Unique {
		d = append(d, bson.E{Key: "unique", Value: true})
	}
	if config.Partial != nil {
		d = append(d, bson.E{Key: "partialFilterExpression", Value: *config.Partial})
	}
	return d
}

func indexConfig(m bson.Raw) (config mongokit.IndexConfig, err error) {
	config.Unique, config.Expiry = flagged(m, "unique"), time.Duration(number(m, "expireAfterSeconds"))*time.Second
	if config.Key, err = doc(m, "key"); err == nil {
		config.Partial, err = doc(m, "partialFilterExpression")
	}
	return config, err
}

func (s *server) createIndexes(r request) (bson.D, error) {
	models, err := r.documents("indexes")
	if err != nil {
		return nil, err
	}
	for _, m := range models {
		if err := s.change(r.namespace(), func(c *collection) error { return c.createIndex(m) }); err != nil {
			return nil, err
		}
	}
	return bson.D{}, nil
}

func (s *server) drop(r request) (bson.D, error) {
	delete(s.collections, r.namespace())
	if s.journal != nil {
		s.ops = append(s.ops, bson.D{{Key: "drop", Value: true}, {Key: "ns", Value: r.namespace()}})
	}
	return bson.D{}, nil
}

func (s *server) dropIndexes(r request) (bson.D, error) {
	name, _ := r.body.Lookup("index").StringValueOK()
	if c := s.collections[r.namespace()]; c == nil || c.indexes[name] == nil {
		return nil, failure{codeIndexNotFound, "index not found with name [" + name + "]"}
	}
	return bson.D{}, s.change(r.namespace(), func(c *collection) error { return c.dropIndex(name) })
}
