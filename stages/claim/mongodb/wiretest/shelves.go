package main

import (
	"maps"
	"slices"

	"github.com/256dpi/lungo/bsonkit"
	"go.mongodb.org/mongo-driver/bson"
)

// shelves has the documents of a collection by the value of each of their fields,
// so that a query that names a value need not look at the others. It only
// narrows: who matches is for mongokit to say.
type shelves map[string]map[any]map[bsonkit.Doc]bool

// odd is the shelf of values that are not compared here: times, arrays, documents.
type odd struct{}

// shelf returns where a value stands. Numbers of all types are equal to each other.
func shelf(v any) any {
	switch v := v.(type) {
	case string, bool:
		return v
	case int32:
		return float64(v)
	case int64:
		return float64(v)
	case float64:
		return v
	}
	return odd{}
}

func (s shelves) add(d bsonkit.Doc) {
	for _, e := range *d {
		field := s[e.Key]
		if field == nil {
			field = map[any]map[bsonkit.Doc]bool{}
			s[e.Key] = field
		}
		at := shelf(e.Value)
		if field[at] == nil {
			field[at] = map[bsonkit.Doc]bool{}
		}
		field[at][d] = true
	}
}

func (s shelves) remove(d bsonkit.Doc) {
	for _, e := range *d {
		at := shelf(e.Value)
		delete(s[e.Key][at], d)
		if len(s[e.Key][at]) == 0 {
			delete(s[e.Key], at)
		}
	}
}

// narrow returns the documents of the smallest shelf that a condition of the
// query names, and false if none does.
func (s shelves) narrow(query bsonkit.Doc) (list bsonkit.List, ok bool) {
	if query == nil {
		return nil, false
	}
	least := -1
	var best []any
	var field map[any]map[bsonkit.Doc]bool
	for _, e := range *query {
		wanted := values(e.Value)
		if wanted == nil {
			continue
		}
		n := len(s[e.Key][odd{}])
		for _, at := range wanted {
			n += len(s[e.Key][at])
		}
		if least < 0 || n < least {
			least, best, field = n, wanted, s[e.Key]
		}
	}
	if least < 0 {
		return nil, false
	}
	list = make(bsonkit.List, 0, least)
	for _, at := range append(best, odd{}) {
		list = slices.AppendSeq(list, maps.Keys(field[at]))
	}
	return list, true
}

// values are the shelves that a condition of a query allows; nil if it does not
// say by value. A field that is missing equals null, and is on no shelf.
func values(condition any) []any {
	var wanted bson.A
	switch v := condition.(type) {
	case bson.D:
		if len(v) != 1 {
			return nil
		}
		switch list, _ := v[0].Value.(bson.A); v[0].Key {
		case "$eq":
			wanted = bson.A{v[0].Value}
		case "$in":
			wanted = list
		}
	default:
		wanted = bson.A{v}
	}
	var out []any
	for _, v := range wanted {
		at := shelf(v)
		if at == any(odd{}) {
			return nil
		}
		if !slices.Contains(out, at) {
			out = append(out, at)
		}
	}
	return out
}
