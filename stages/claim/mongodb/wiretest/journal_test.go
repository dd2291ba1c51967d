package main

import (
	"fmt"
	"os"
	"path/filepath"
	"testing"

	"go.mongodb.org/mongo-driver/bson"
)

func command(t *testing.T, s *server, d bson.D) bson.Raw {
	t.Helper()
	body, err := bson.Marshal(append(d, bson.E{Key: "$db", Value: "d"}))
	if err != nil {
		t.Fatal(err)
	}
	reply, err := bson.Marshal(s.answer(message{body: body}))
	if err != nil {
		t.Fatal(err)
	}
	return reply
}

func restarted(t *testing.T, path string) *server {
	t.Helper()
	s := newServer("127.0.0.1:1", 0)
	if err := s.recover(path); err != nil {
		t.Fatal(err)
	}
	return s
}

// contents is what a find of everything answers, which is in the order of the inserts.
func contents(t *testing.T, s *server) string {
	t.Helper()
	return command(t, s, bson.D{{Key: "find", Value: "c"}, {Key: "filter", Value: bson.D{}}}).Lookup("cursor").String()
}

// What was answered is there after a kill: documents, indexes, and the answers of
// writes that a driver may repeat. A command whose record is torn was not.
func TestJournal(t *testing.T) {
	path := filepath.Join(t.TempDir(), "journal")
	s := restarted(t, path)
	index := bson.D{{Key: "key", Value: bson.D{{Key: "u", Value: 1}}}, {Key: "name", Value: "u"}, {Key: "unique", Value: true}}
	command(t, s, bson.D{{Key: "createIndexes", Value: "c"}, {Key: "indexes", Value: bson.A{index}}})
	for i := range 3 {
		d := bson.D{{Key: "_id", Value: fmt.Sprint(i)}, {Key: "u", Value: i}}
		command(t, s, bson.D{{Key: "insert", Value: "c"}, {Key: "documents", Value: bson.A{d}}})
	}
	of := func(id string) bson.E { return bson.E{Key: "q", Value: bson.D{{Key: "_id", Value: id}}} }
	set := bson.D{of("1"), {Key: "u", Value: bson.D{{Key: "$set", Value: bson.D{{Key: "n", Value: int64(7)}}}}}}
	numbered := bson.D{{Key: "update", Value: "c"}, {Key: "updates", Value: bson.A{set}},
		{Key: "lsid", Value: bson.D{{Key: "id", Value: "s"}}}, {Key: "txnNumber", Value: int64(5)}}
	reply := command(t, s, numbered)
	command(t, s, bson.D{{Key: "delete", Value: "c"}, {Key: "deletes", Value: bson.A{bson.D{of("0"), {Key: "limit", Value: 1}}}}})
	before := contents(t, s)
	whole, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	command(t, s, bson.D{{Key: "insert", Value: "c"}, {Key: "documents", Value: bson.A{bson.D{{Key: "_id", Value: "torn"}, {Key: "u", Value: 9}}}}})
	torn, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	for cut := len(whole); cut < len(torn); cut++ {
		if err := os.WriteFile(path, torn[:cut], 0o600); err != nil {
			t.Fatal(err)
		}
		s = restarted(t, path)
		if after := contents(t, s); after != before {
			t.Fatalf("torn at %d:\n%s, want\n%s", cut, after, before)
		}
	}
	if again := command(t, s, numbered); again.String() != reply.String() {
		t.Errorf("the repeated write was answered with %s, want %s", again, reply)
	}
	twice := bson.D{{Key: "_id", Value: "x"}, {Key: "u", Value: 2}}
	if got := command(t, s, bson.D{{Key: "insert", Value: "c"}, {Key: "documents", Value: bson.A{twice}}}); got.Lookup("n").AsInt64() != 0 {
		t.Error("the unique index is gone")
	}
}
