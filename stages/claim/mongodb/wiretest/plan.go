package main

import (
	"slices"

	"github.com/256dpi/lungo/bsonkit"
	"github.com/256dpi/lungo/mongokit"
	"github.com/tidwall/btree"
	"go.mongodb.org/mongo-driver/bson"
)

// plan is a way to find what a query asks for: the ranges of an index in which
// all of it is. It only narrows: who matches is for mongokit to say.
type plan struct {
	order   *btree.BTreeG[entry]
	columns []bsonkit.Column
	equal   map[string]bson.A // what fields may equal
	fixed   int               // so many columns have one of those values; a range for each combination
	next    bounds            // of the column after those
	sorted  bool              // the ranges, merged by the other columns, are in the order asked for
	rank    [3]int            // higher is better, see collection.plan
}

// bounds are how far a condition lets a value go; nil: any.
type bounds struct{ least, most any }

const (
	// maxRanges bounds the ranges of a plan: a call names fewer values.
	maxRanges = 100_000
	// maxMerged bounds those that are merged: each step looks at all of them.
	maxMerged = 200
)

// find returns the documents that match, in order; with a limit above 0 the first
// ones only. Documents that are equal in the order asked for come as the index has
// them; without an order they come as they were inserted.
func (c *collection) find(query, sort bsonkit.Doc, limit int) ([]*document, error) {
	if query == nil {
		query = &bson.D{}
	}
	var by []bsonkit.Column
	if sort != nil {
		var err error
		if by, err = mongokit.Columns(sort); err != nil {
			return nil, err
		}
	}
	p := c.plan(*query, by)
	var found []*document
	var failed error
	p.walk(func(d *document) bool {
		ok, err := mongokit.Match(d.doc, query)
		if ok {
			found = append(found, d)
		}
		failed = err
		return err == nil && !(p.sorted && limit > 0 && len(found) == limit)
	})
	if failed != nil {
		return nil, failed
	}
	if !p.sorted {
		byInsert(found)
		slices.SortStableFunc(found, func(a, b *document) int { return bsonkit.Order(a.doc, b.doc, by, false) })
	}
	if limit > 0 && len(found) > limit {
		found = found[:limit]
	}
	return found, nil
}

// plan chooses: a unique index whose columns are all given, else the one that
// uses the most equalities of the query, if in doubt one that has the order.
func (c *collection) plan(query bson.D, by []bsonkit.Column) plan {
	equal := map[string]bson.A{}
	for _, e := range query {
		if values := equals(e.Value); values != nil {
			equal[e.Key] = values
		}
	}
	best := plan{order: c.documents, sorted: len(by) == 0}
	for _, x := range c.indexes {
		if p, ok := x.plan(query, equal, by); ok && slices.Compare(p.rank[:], best.rank[:]) > 0 {
			best = p
		}
	}
	return best
}

// plan is the way by this index, given what fields may equal; false if the index
// may lack what the query asks for.
func (x *index) plan(query bson.D, equal map[string]bson.A, by []bsonkit.Column) (p plan, ok bool) {
	used := map[string]bool{}
	if x.arrays > 0 || x.config.Partial != nil && !implied(*x.config.Partial, query, equal, used) {
		return p, false
	}
	p = plan{order: x.order, columns: x.columns, equal: equal}
	at, ranges := 0, 1
	for ; at < len(x.columns); at++ {
		values := equal[x.columns[at].Path]
		if values == nil || len(values)*ranges > maxRanges {
			break
		}
		used[x.columns[at].Path] = true
		ranges *= len(values)
	}
	p.fixed = at
	if at < len(x.columns) {
		p.next = limits(query, x.columns[at])
	}
	rest := slices.DeleteFunc(slices.Clone(by), func(c bsonkit.Column) bool { return len(equal[c.Path]) == 1 })
	p.sorted = len(by) > 0 && ranges <= maxMerged && len(x.columns[at:]) >= len(rest) && slices.Equal(x.columns[at:at+len(rest)], rest)
	if at == len(x.columns) && x.config.Unique {
		p.rank[0] = 1
	}
	p.rank[1] = 2 * len(used)
	if p.sorted {
		p.rank[1]++
	}
	if p.next != (bounds{}) {
		p.rank[2] = 1
	}
	return p, true
}

// prefixes are the values with which the ranges begin.
func (p *plan) prefixes() [][]any {
	all := [][]any{nil}
	for _, c := range p.columns[:p.fixed] {
		var longer [][]any
		for _, prefix := range all {
			for _, v := range p.equal[c.Path] {
				longer = append(longer, append(slices.Clone(prefix), v))
			}
		}
		all = longer
	}
	return all
}

// implied reports that what matches the query is in a partial index, as far as
// its condition is an equality or an existence.
func implied(partial, query bson.D, equal map[string]bson.A, used map[string]bool) bool {
	for _, e := range partial {
		asked := slices.ContainsFunc(query, func(q bson.E) bool { return q.Key == e.Key && bsonkit.Compare(q.Value, e.Value) == 0 })
		exists, isDoc := e.Value.(bson.D)
		named := isDoc && len(exists) == 1 && exists[0].Key == "$exists" && exists[0].Value == true &&
			len(equal[e.Key]) > 0 && !slices.ContainsFunc(equal[e.Key], isNull)
		if !asked && !named {
			return false
		}
		used[e.Key] = true
	}
	return true
}

func isNull(v any) bool {
	class, _ := bsonkit.Inspect(v)
	return class == bsonkit.Null
}

// equals are the values that a condition allows, each once; nil if it does not say by
// value.
func equals(condition any) bson.A {
	wanted := bson.A{condition}
	if d, ok := condition.(bson.D); ok && len(d) > 0 && len(d[0].Key) > 0 && d[0].Key[0] == '$' {
		wanted = nil
		for _, e := range d {
			switch e.Key {
			case "$eq":
				wanted = bson.A{e.Value}
			case "$in":
				wanted, _ = e.Value.(bson.A)
			}
		}
	}
	for _, v := range wanted {
		if class, _ := bsonkit.Inspect(v); class == bsonkit.Regex {
			return nil
		}
	}
	out := slices.Clone(wanted)
	slices.SortFunc(out, bsonkit.Compare)
	return slices.CompactFunc(out, func(a, b any) bool { return bsonkit.Compare(a, b) == 0 })
}

// limits are the bounds of a column.
func limits(query bson.D, c bsonkit.Column) (b bounds) {
	for _, e := range query {
		d, _ := e.Value.(bson.D)
		if e.Key != c.Path {
			continue
		}
		for _, op := range d {
			switch op.Key {
			case "$gt", "$gte":
				b.least = op.Value
			case "$lt", "$lte":
				b.most = op.Value
			}
		}
	}
	if c.Reverse {
		b.least, b.most = b.most, b.least
	}
	return b
}

// rangeOf is a range that is being walked over.
type rangeOf struct {
	btree.IterG[entry]
	prefix []any
}

// walk yields the documents of all ranges, merged if the plan is sorted.
func (p *plan) walk(yield func(*document) bool) {
	var open []*rangeOf
	for _, prefix := range p.prefixes() {
		r := &rangeOf{p.order.Iter(), prefix}
		probe := prefix
		if p.next.least != nil {
			probe = append(slices.Clone(prefix), p.next.least)
		}
		more := r.Seek(entry{probe, &document{}}) && p.inside(r)
		if p.sorted {
			if more {
				open = append(open, r)
			}
			continue
		}
		for ; more; more = r.Next() && p.inside(r) {
			if !yield(r.Item().document) {
				return
			}
		}
	}
	for len(open) > 0 {
		first := 0
		for i := range open {
			if p.before(open[i].Item(), open[first].Item()) {
				first = i
			}
		}
		r := open[first]
		if !yield(r.Item().document) {
			return
		}
		if !r.Next() || !p.inside(r) {
			open = slices.Delete(open, first, first+1)
		}
	}
}

// before compares what follows the prefix.
func (p *plan) before(a, b entry) bool {
	for i := p.fixed; i < len(p.columns); i++ {
		if c := compare(a.keys[i], b.keys[i], p.columns[i]); c != 0 {
			return c < 0
		}
	}
	return a.at < b.at
}

// inside reports that the range is not over.
func (p *plan) inside(r *rangeOf) bool {
	keys := r.Item().keys
	for i, v := range r.prefix {
		if bsonkit.Compare(keys[i], v) != 0 {
			return false
		}
	}
	return p.next.most == nil || compare(keys[p.fixed], p.next.most, p.columns[p.fixed]) <= 0
}
