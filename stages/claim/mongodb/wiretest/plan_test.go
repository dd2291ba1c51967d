package main

import (
	"fmt"
	"math/rand/v2"
	"testing"

	"github.com/256dpi/lungo/bsonkit"
	"github.com/256dpi/lungo/mongokit"
	"go.mongodb.org/mongo-driver/bson"
	"go.mongodb.org/mongo-driver/bson/primitive"
)

// twins are a collection with indexes, and one of mongokit's own without any but the
// unique ones, which looks at all documents.
type twins struct {
	*testing.T
	*rand.Rand
	with    *collection
	without *mongokit.Collection
	next    int32
	arrays  bool // some values are arrays: an index that has one is no way to find anything
}

// value is one of few, so that documents share them: also those that equal each
// other, or null, without being of one type, and arrays.
func (w *twins) value() any {
	all := [...]any{int32(1), int64(1), 1.0, int32(2), 2.5, "1", "2", true, nil, primitive.DateTime(1), bson.D{{Key: "x", Value: int32(1)}}}
	if w.arrays && w.IntN(400) == 0 {
		return bson.A{int32(1), "2"}
	}
	return all[w.IntN(len(all))]
}

func (w *twins) field() string { return [...]string{"a", "b", "c", "d.e"}[w.IntN(4)] }

func (w *twins) document() bson.D {
	w.next++
	d := bson.D{{Key: "_id", Value: w.next}, {Key: "n", Value: int32(w.IntN(50))}}
	for _, name := range [...]string{"a", "b", "c"} {
		if w.IntN(4) > 0 {
			d = append(d, bson.E{Key: name, Value: w.value()})
		}
	}
	if w.IntN(2) == 0 {
		d = append(d, bson.E{Key: "d", Value: bson.D{{Key: "e", Value: w.value()}}})
	}
	if w.IntN(3) == 0 {
		d = append(d, bson.E{Key: "u", Value: int32(w.IntN(100))})
	}
	return d
}

func (w *twins) condition() any {
	switch w.IntN(6) {
	case 0:
		return bson.D{{Key: "$in", Value: bson.A{w.value(), w.value(), w.value()}}}
	case 1:
		return bson.D{{Key: [...]string{"$gt", "$gte"}[w.IntN(2)], Value: w.value()}, {Key: "$lte", Value: w.value()}}
	case 2:
		return bson.D{{Key: [...]string{"$lt", "$lte", "$gte", "$ne"}[w.IntN(4)], Value: w.value()}}
	case 3:
		return bson.D{{Key: "$exists", Value: w.IntN(3) > 0}}
	}
	return w.value()
}

func (w *twins) query() bson.D {
	q := bson.D{}
	for range w.IntN(4) {
		q = append(q, bson.E{Key: w.field(), Value: w.condition()})
	}
	switch w.IntN(8) {
	case 0:
		q = append(q, bson.E{Key: "$or", Value: bson.A{bson.D{{Key: "a", Value: w.condition()}}, bson.D{{Key: "n", Value: int32(w.IntN(50))}}}})
	case 1:
		q = append(q, bson.E{Key: "_id", Value: bson.D{{Key: "$in", Value: bson.A{int32(w.IntN(200)), int32(w.IntN(200))}}}})
	case 2:
		q = append(q, bson.E{Key: "u", Value: int32(w.IntN(100))})
	case 3:
		q = append(q, bson.E{Key: "n", Value: bson.D{{Key: "$gte", Value: int32(w.IntN(40))}, {Key: "$lt", Value: int32(w.IntN(60))}}})
	}
	return q
}

// order is total with the number at its end: results are the same then, ties included.
func (w *twins) order() bson.D {
	if w.IntN(3) == 0 {
		return nil
	}
	o := bson.D{}
	if w.IntN(2) == 0 {
		o = append(o, bson.E{Key: w.field(), Value: int32(1 - 2*w.IntN(2))})
	}
	return append(o, bson.E{Key: "n", Value: int32(1 - 2*w.IntN(2))}, bson.E{Key: "_id", Value: int32(1)})
}

func (w *twins) index(i int) {
	keys := bson.D{}
	for _, name := range [][]string{{"a", "n", "_id"}, {"b", "a"}, {"a", "b", "n", "_id"}, {"c", "n", "_id"}, {"d.e", "c"}, {"n", "_id"}, {"u"}}[i] {
		direction := int32(1)
		if name == "n" && i == 3 {
			direction = -1
		}
		keys = append(keys, bson.E{Key: name, Value: direction})
	}
	d := bson.D{{Key: "key", Value: keys}, {Key: "name", Value: fmt.Sprint(i)}}
	switch i {
	case 3:
		d = append(d, bson.E{Key: "partialFilterExpression", Value: bson.D{{Key: "c", Value: bson.D{{Key: "$exists", Value: true}}}}})
	case 2:
		d = append(d, bson.E{Key: "partialFilterExpression", Value: bson.D{{Key: "a", Value: int32(1)}}})
	case 6:
		d = append(d, bson.E{Key: "unique", Value: true}, bson.E{Key: "partialFilterExpression", Value: bson.D{{Key: "u", Value: bson.D{{Key: "$exists", Value: true}}}}})
	}
	raw, err := bson.Marshal(d)
	if err != nil {
		w.Fatal(err)
	}
	if err := w.with.createIndex(raw); err != nil {
		w.Fatal(err)
	}
	if i < 6 {
		return // the other twin needs none that refuses nothing
	}
	config, err := indexConfig(raw)
	if err == nil {
		_, err = w.without.CreateIndex(fmt.Sprint(i), config)
	}
	if err != nil {
		w.Fatal(err)
	}
}

// agree fails if what was done, or the error, differs.
func (w *twins) agree(what, got, want any, gotErr, wantErr error) {
	w.Helper()
	if (gotErr == nil) != (wantErr == nil) {
		w.Fatalf("%v: error %v, without indexes %v", what, gotErr, wantErr)
	}
	if g, x := fmt.Sprint(got), fmt.Sprint(want); gotErr == nil && g != x {
		w.Fatalf("%v:\n%s\nwithout indexes:\n%s", what, g, x)
	}
}

func contentsOf(list []*document) (out []bson.D) {
	for _, d := range list {
		out = append(out, *d.doc)
	}
	return out
}

func matched(res *mongokit.Result) (out []bson.D) {
	if res != nil {
		for _, d := range res.Matched {
			out = append(out, *d)
		}
	}
	return out
}

// retried does a change of mongokit's, which has no way back, on a copy.
func (w *twins) retried(change func(c *mongokit.Collection) (*mongokit.Result, error)) (*mongokit.Result, error) {
	tried := &mongokit.Collection{Documents: w.without.Documents.Clone(), Indexes: map[string]*mongokit.Index{}}
	for name, x := range w.without.Indexes {
		tried.Indexes[name] = x.Clone()
	}
	res, err := change(tried)
	if err == nil {
		w.without = tried
	}
	return res, err
}

// TestPlans: whatever the indexes, a collection does what mongokit does that
// looks at every document.
func TestPlans(t *testing.T) {
	for seed := range uint64(10) {
		t.Run(fmt.Sprint(seed), func(t *testing.T) {
			t.Parallel()
			w := &twins{T: t, Rand: rand.New(rand.NewPCG(seed, 1)), with: newCollection("d.c", func(...bson.E) {}), without: mongokit.NewCollection(true), arrays: seed%4 == 0}
			for i := range 7 {
				if w.IntN(3) > 0 {
					w.index(i)
				}
			}
			for range 20 {
				for range 20 {
					w.step()
				}
				w.compare()
			}
		})
	}
}

func (w *twins) step() {
	q, o, limit := w.query(), w.order(), w.IntN(3)*w.IntN(4)
	switch w.IntN(6) {
	case 0, 1:
		d := w.document()
		e := bsonkit.Clone(&d)
		_, wantErr := w.retried(func(c *mongokit.Collection) (*mongokit.Result, error) { return c.Insert(e) })
		w.agree(d, nil, nil, w.with.insert(&d), wantErr)
	case 2:
		change := bson.D{{Key: "$set", Value: bson.D{{Key: "b", Value: w.value()}}}, {Key: "$unset", Value: bson.D{{Key: w.field(), Value: ""}}}}
		if w.IntN(3) == 0 {
			change = bson.D{{Key: "$inc", Value: bson.D{{Key: "u", Value: int32(1)}}}}
		}
		got, _, gotErr := w.with.update(&q, &change, &o, limit)
		want, wantErr := w.retried(func(c *mongokit.Collection) (*mongokit.Result, error) {
			return c.Update(&q, &change, &o, 0, limit, nil)
		})
		if wantErr == nil {
			w.agree(fmt.Sprint("update ", q, change, o, limit), len(got), len(want.Matched), gotErr, wantErr)
		} else {
			w.agree(fmt.Sprint("update ", q, change, o, limit), nil, nil, gotErr, wantErr)
		}
	case 3:
		q = append(q, bson.E{Key: "n", Value: int32(w.IntN(50))})
		got, gotErr := w.with.remove(&q, limit)
		want, wantErr := w.retried(func(c *mongokit.Collection) (*mongokit.Result, error) { return c.Delete(&q, nil, 0, limit) })
		w.agree(fmt.Sprint("delete ", q, limit), got, len(want.Matched), gotErr, wantErr)
	default:
		got, gotErr := w.with.find(&q, &o, limit)
		want, wantErr := w.without.Find(&q, &o, 0, limit)
		w.agree(fmt.Sprint("find ", q, o, limit), contentsOf(got), matched(want), gotErr, wantErr)
	}
}

// compare looks at all documents, which are in the order of their inserts.
func (w *twins) compare() {
	w.Helper()
	var all []bson.D
	for d := range w.with.all {
		all = append(all, *d.doc)
	}
	var want []bson.D
	for _, d := range w.without.Documents.List {
		want = append(want, *d)
	}
	w.agree("afterwards", all, want, nil, nil)
}

// TestPlanned: what the driver does often looks at few documents.
func TestPlanned(t *testing.T) {
	c := newCollection("d.c", func(...bson.E) {})
	for _, model := range itemIndexes() {
		raw, err := bson.Marshal(model)
		if err == nil {
			err = c.createIndex(raw)
		}
		if err != nil {
			t.Fatal(err)
		}
	}
	for i := range 2000 {
		key := fmt.Sprint("k", i)
		d := bson.D{{Key: "_id", Value: int32(i)}, {Key: "queue", Value: "q"}, {Key: "state", Value: "ready"}, {Key: "key", Value: key}, {Key: "live", Value: true},
			{Key: "turn", Value: key}, {Key: "priority", Value: int32(i % 10)}, {Key: "seq", Value: int64(i)}, {Key: "at", Value: int64(0)}, {Key: "lane", Value: int32(i % 64)}}
		if err := c.insert(&d); err != nil {
			t.Fatal(err)
		}
	}
	queue, ready := bson.E{Key: "queue", Value: "q"}, bson.E{Key: "state", Value: "ready"}
	due := bson.E{Key: "at", Value: bson.D{{Key: "$lte", Value: int64(1)}}}
	in := func(field string, values ...any) bson.E {
		return bson.E{Key: field, Value: bson.D{{Key: "$in", Value: bson.A(values)}}}
	}
	first := bson.D{{Key: "priority", Value: int32(-1)}, {Key: "seq", Value: int32(1)}}
	oldest := bson.D{{Key: "seq", Value: int32(1)}}
	for name, look := range map[string]struct {
		query, order bson.D
	}{
		"claim":              {bson.D{queue, ready, due}, first},
		"claim of the aged":  {bson.D{queue, ready, due, in("priority", int32(0), int32(1), int32(2), int32(3))}, oldest},
		"claim by lanes":     {bson.D{queue, ready, due, in("lane", int32(3), int32(4))}, first},
		"head of a key":      {bson.D{queue, {Key: "key", Value: "k7"}, {Key: "live", Value: true}}, oldest},
		"turn":               {bson.D{queue, {Key: "turn", Value: "k7"}}, nil},
		"by id":              {bson.D{{Key: "_id", Value: int32(7)}, queue, ready}, nil},
		"by ids":             {bson.D{in("_id", int32(7), int32(8)), queue, ready}, nil},
		"claims of a call":   {bson.D{queue, {Key: "claim", Value: "x"}, {Key: "state", Value: "leased"}}, nil},
		"expired leases":     {bson.D{queue, {Key: "state", Value: "leased"}, due}, nil},
		"a page of the list": {bson.D{queue, {Key: "seq", Value: bson.D{{Key: "$gt", Value: int64(1000)}}}}, oldest},
	} {
		p, looked := c.plan(look.query, must(mongokit.Columns(&look.order))), 0
		p.walk(func(d *document) bool {
			looked++
			ok, err := mongokit.Match(d.doc, &look.query)
			if err != nil {
				t.Fatal(err)
			}
			return !(ok && p.sorted)
		})
		if looked > 2 {
			t.Errorf("%s: %d documents for the first", name, looked)
		}
	}
}

func must[T any](v T, err error) T {
	if err != nil {
		panic(err)
	}
	return v
}
