package main

import (
	"fmt"
	"time"

	"github.com/256dpi/lungo/bsonkit"
	"github.com/256dpi/lungo/mongokit"
	"go.mongodb.org/mongo-driver/bson"
)

// cursor answers with all documents at once: the first batch is the last.
func (r request) cursor(docs bson.A) bson.D {
	if docs == nil {
		docs = bson.A{}
	}
	return bson.D{{Key: "cursor", Value: bson.D{{Key: "id", Value: int64(0)}, {Key: "ns", Value: r.namespace()}, {Key: "firstBatch", Value: docs}}}}
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
	found, err := s.collection(r.namespace()).Find(filter, order, number(r.body, "skip"), number(r.body, "limit"))
	if err != nil {
		return nil, err
	}
	var docs bson.A
	for _, d := range found.Matched {
		seen, err := projected(d, r.body, "projection")
		if err != nil {
			return nil, err
		}
		docs = append(docs, seen)
	}
	return r.cursor(docs), nil
}

func projected(d bsonkit.Doc, in bson.Raw, name string) (bson.D, error) {
	projection, err := doc(in, name)
	if err != nil || projection == nil {
		return *d, err
	}
	out, err := mongokit.Project(d, projection)
	if err != nil {
		return nil, err
	}
	return *out, nil
}

// aggregate knows $match and a $group that counts by one field.
func (s *server) aggregate(r request) (bson.D, error) {
	list := bsonkit.List(s.collection(r.namespace()).Documents.List)
	stages, err := r.body.Lookup("pipeline").Array().Values()
	if err != nil {
		return nil, err
	}
	var groups bson.A
	for _, stage := range stages {
		match, err := doc(stage.Document(), "$match")
		if err != nil {
			return nil, err
		}
		if match != nil {
			if list, err = mongokit.Filter(list, match, 0); err != nil {
				return nil, err
			}
			continue
		}
		by, ok := stage.Document().Lookup("$group", "_id").StringValueOK()
		if !ok || len(by) < 2 {
			return nil, fmt.Errorf("stage %v is unknown", stage)
		}
		counts := map[any]int32{}
		for _, d := range list {
			counts[bsonkit.Get(d, by[1:])]++
		}
		for value, n := range counts {
			groups = append(groups, bson.D{{Key: "_id", Value: value}, {Key: "n", Value: n}})
		}
	}
	return r.cursor(groups), nil
}

func (s *server) listIndexes(r request) (bson.D, error) {
	c := s.collections[r.namespace()]
	if c == nil {
		return nil, failure{codeNamespaceNotFound, "ns does not exist: " + r.namespace()}
	}
	var docs bson.A
	for name, index := range c.Indexes {
		config := index.Config()
		d := bson.D{{Key: "v", Value: int32(2)}, {Key: "key", Value: *config.Key}, {Key: "name", Value: name}}
		if config.Unique {
			d = append(d, bson.E{Key: "unique", Value: true})
		}
		if config.Partial != nil {
			d = append(d, bson.E{Key: "partialFilterExpression", Value: *config.Partial})
		}
		docs = append(docs, d)
	}
	return r.cursor(docs), nil
}

func (s *server) createIndexes(r request) (bson.D, error) {
	models, err := r.documents("indexes")
	if err != nil {
		return nil, err
	}
	for _, m := range models {
		config := mongokit.IndexConfig{Unique: flagged(m, "unique"), Expiry: time.Duration(number(m, "expireAfterSeconds")) * time.Second}
		if config.Key, err = doc(m, "key"); err != nil {
			return nil, err
		}
		if config.Partial, err = doc(m, "partialFilterExpression"); err != nil {
			return nil, err
		}
		err = s.change(r.namespace(), func(c *mongokit.Collection) error {
			_, err := c.CreateIndex(m.Lookup("name").StringValue(), config)
			return err
		})
		if err != nil {
			return nil, err
		}
	}
	return bson.D{}, nil
}

func (s *server) drop(r request) (bson.D, error) {
	delete(s.collections, r.namespace())
	return bson.D{}, nil
}
