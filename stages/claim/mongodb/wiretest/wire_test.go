package main

import (
	"encoding/binary"
	"testing"

	"go.mongodb.org/mongo-driver/bson"
)

// insertMessage is an OP_MSG without its header: flags, body, sequence.
func insertMessage(t testing.TB) []byte {
	t.Helper()
	body, err := bson.Marshal(bson.D{{Key: "insert", Value: "c"}, {Key: "$db", Value: "d"}})
	if err != nil {
		t.Fatal(err)
	}
	doc, err := bson.Marshal(bson.D{{Key: "_id", Value: "a"}})
	if err != nil {
		t.Fatal(err)
	}
	sequence := append([]byte("documents\x00"), doc...)
	m := append([]byte{0, 0, 0, 0, 0}, body...)
	m = append(m, 1)
	m = binary.LittleEndian.AppendUint32(m, uint32(4+len(sequence)))
	return append(m, sequence...)
}

func TestParseMessage(t *testing.T) {
	whole := insertMessage(t)
	m, _, err := parseMessage(whole)
	if err != nil || len(m.docs) != 1 || m.docs[0].Lookup("_id").StringValue() != "a" {
		t.Fatalf("message %+v, error %v", m, err)
	}
	for n := range whole {
		// Whatever is left may be a shorter message or none; it must not panic.
		_, _, _ = parseMessage(whole[:n])
	}
}

func TestAnswers(t *testing.T) {
	s := newServer("127.0.0.1:1", 0)
	m, _, err := parseMessage(insertMessage(t))
	if err != nil {
		t.Fatal(err)
	}
	number := func(d bson.D, name string) any {
		for _, e := range d {
			if e.Key == name {
				return e.Value
			}
		}
		return nil
	}
	if first := s.answer(m); number(first, "n") != int32(1) {
		t.Errorf("the first insert: %v", first)
	}
	second := s.answer(m)
	failed, _ := number(second, "writeErrors").(bson.A)
	if number(second, "n") != int32(0) || len(failed) != 1 || number(failed[0].(bson.D), "code") != int32(codeDuplicateKey) {
		t.Errorf("the second insert of one _id: %v", second)
	}
	unknown, err := bson.Marshal(bson.D{{Key: "shutdown", Value: 1}})
	if err != nil {
		t.Fatal(err)
	}
	if got := s.answer(message{body: unknown}); number(got, "code") != int32(codeCommandNotFound) {
		t.Errorf("an unknown command: %v", got)
	}
	if got := s.answer(message{}); number(got, "ok") != 0.0 {
		t.Errorf("no command: %v", got)
	}
}

func FuzzParseMessage(f *testing.F) {
	f.Add(insertMessage(f))
	f.Fuzz(func(t *testing.T, b []byte) {
		if m, _, err := parseMessage(b); err == nil {
			newServer("127.0.0.1:1", 0).answer(m) // must not panic
		}
	})
}
