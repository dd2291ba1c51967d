package main

import (
	"fmt"
	"testing"

	"go.mongodb.org/mongo-driver/bson"
)

// BenchmarkItem is the life of an item with a key, as the queue driver makes it,
// beside so many that wait and as many that are done.
func BenchmarkItem(b *testing.B) {
	for _, n := range []int{100, 1000, 10_000} {
		b.Run(fmt.Sprint(n), func(b *testing.B) {
			s := newServer("127.0.0.1:1", 0)
			run := func(d ...bson.E) (raw bson.Raw) {
				body, err := bson.Marshal(append(bson.D(d), bson.E{Key: "$db", Value: "d"}))
				if err != nil {
					b.Fatal(err)
				}
				reply := s.answer(message{body: body})
				raw, err = bson.Marshal(reply)
				if err != nil || raw.Lookup("ok").Double() != 1 || !raw.Lookup("writeErrors").IsZero() {
					b.Fatal(reply, err)
				}
				return raw
			}
			run(bson.E{Key: "createIndexes", Value: "c"}, bson.E{Key: "indexes", Value: itemIndexes()})
			update := func(id any, set, unset bson.D) bson.D {
				return bson.D{{Key: "q", Value: bson.D{{Key: "_id", Value: id}, {Key: "queue", Value: "q"}}}, {Key: "u", Value: bson.D{{Key: "$set", Value: set}, {Key: "$unset", Value: unset}}}}
			}
			seq := 0
			add := func(state string) {
				seq++
				key, id := fmt.Sprint("k", seq), fmt.Sprint("q/", seq)
				d := bson.D{{Key: "_id", Value: id}, {Key: "queue", Value: "q"}, {Key: "state", Value: state}, {Key: "key", Value: key},
					{Key: "seq", Value: int64(seq)}, {Key: "priority", Value: int32(0)}, {Key: "at", Value: int64(0)}, {Key: "lane", Value: int32(seq % 64)}}
				if state == "ready" {
					d = append(d, bson.E{Key: "live", Value: true}, bson.E{Key: "turn", Value: key})
				}
				run(bson.E{Key: "insert", Value: "c"}, bson.E{Key: "documents", Value: bson.A{d}})
			}
			for range n {
				add("done")
				add("ready")
			}
			one := bson.D{}
			for b.Loop() {
				add("ready")
				got := run(bson.E{Key: "findAndModify", Value: "c"}, bson.E{Key: "new", Value: true},
					bson.E{Key: "query", Value: bson.D{{Key: "queue", Value: "q"}, {Key: "state", Value: "ready"}, {Key: "at", Value: bson.D{{Key: "$lte", Value: int64(1)}}}}},
					bson.E{Key: "sort", Value: bson.D{{Key: "priority", Value: int32(-1)}, {Key: "seq", Value: int32(1)}}},
					bson.E{Key: "update", Value: bson.D{{Key: "$set", Value: bson.D{{Key: "state", Value: "leased"}, {Key: "claim", Value: "x"}}}}})
				id, key := got.Lookup("value", "_id"), got.Lookup("value", "key")
				run(bson.E{Key: "update", Value: "c"}, bson.E{Key: "updates", Value: bson.A{
					update(id, bson.D{{Key: "state", Value: "done"}}, bson.D{{Key: "live", Value: one}, {Key: "turn", Value: one}, {Key: "claim", Value: one}})}})
				run(bson.E{Key: "find", Value: "c"}, bson.E{Key: "sort", Value: bson.D{{Key: "seq", Value: int32(1)}}}, bson.E{Key: "limit", Value: int32(1)},
					bson.E{Key: "filter", Value: bson.D{{Key: "queue", Value: "q"}, {Key: "key", Value: key}, {Key: "live", Value: true}}})
			}
		})
	}
}

// itemIndexes are like those that the driver makes on its items.
func itemIndexes() (all bson.A) {
	index := func(unique bool, only bson.E, fields ...string) {
		keys := bson.D{{Key: "queue", Value: int32(1)}}
		for _, f := range fields {
			direction := int32(1)
			if f == "priority" {
				direction = -1
			}
			keys = append(keys, bson.E{Key: f, Value: direction})
		}
		d := bson.D{{Key: "name", Value: fmt.Sprint("i", len(all))}, {Key: "key", Value: keys}, {Key: "unique", Value: unique}}
		if only.Key != "" {
			d = append(d, bson.E{Key: "partialFilterExpression", Value: bson.D{only}})
		}
		all = append(all, d)
	}
	with := func(field string) bson.E {
		return bson.E{Key: field, Value: bson.D{{Key: "$exists", Value: true}}}
	}
	ready := bson.E{Key: "state", Value: "ready"}
	index(false, ready, "priority", "seq", "at")
	index(false, ready, "lane", "priority", "seq", "at")
	index(false, ready, "lane", "seq", "at")
	index(false, bson.E{}, "state", "at", "enqueued")
	index(false, bson.E{}, "seq")
	index(false, with("live"), "key", "live", "seq")
	index(false, with("claim"), "claim")
	index(true, with("turn"), "turn")
	return all
}
