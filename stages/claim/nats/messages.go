package nats

import (
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"strings"

	natsgo "github.com/nats-io/nats.go"
	"github.com/waybill-dev/waybill/pipeline"
)

// recordHeader holds the small part of every message as JSON. It is a header so
// that a process can follow a stream without its bodies (a consumer with
// headers only).
const recordHeader = "Waybill"

// itemRecord is the header of a message on an item's subject: what an enqueue
// says and nothing ever changes. The message's data are the meta data as JSON,
// Meta bytes of it, then the body, then the History of an item that began in
// another queue.
type itemRecord struct {
	ID          string                `json:"id"`
	Key         string                `json:"key,omitempty"`
	Idem        string                `json:"idem,omitempty"`
	IdemActive  bool                  `json:"act,omitempty"`  // the idempotency key is free when the item has ended
	IdemUntil   int64                 `json:"itil,omitempty"` // the idempotency key is free from then on
	Priority    int                   `json:"pri,omitempty"`
	MaxAttempts int                   `json:"max,omitempty"`
	Enqueued    int64                 `json:"at"` // times are Unix milliseconds, 0 is none
	NotBefore   int64                 `json:"nb,omitempty"`
	Deadline    int64                 `json:"dl,omitempty"`
	Trace       pipeline.TraceContext `json:"trace,omitzero"`
	Meta        int                   `json:"meta,omitempty"` // length of the meta data
	Body        int                   `json:"body,omitempty"` // length of the body
	History     int                   `json:"hist,omitempty"` // length of the history
	// First is where an item that was moved or imported stands at first.
	First *stateRecord `json:"st,omitempty"`
	Came  int64        `json:"came,omitempty"` // when it was moved or imported
	// Batch is the call that the item belongs to, if that took several messages.
	Batch string `json:"batch,omitempty"`
	// Nonce tells the writer's own message from others'.
	Nonce string `json:"nonce"`
}

// stateRecord is the header of a message on an item's state subject: where it
// stands after a transition. The message's data are its history as JSON.
type stateRecord struct {
	Item       uint64             `json:"item"` // sequence of the item's message
	State      pipeline.ItemState `json:"state"`
	Attempts   int                `json:"n,omitempty"`
	Expired    bool               `json:"exp,omitempty"`
	Token      uint64             `json:"tok,omitempty"`   // 0 in a claim: the sequence of this message and Floor
	Floor      uint64             `json:"floor,omitempty"` // what the queue's tokens are above
	Owner      string             `json:"own,omitempty"`
	NotBefore  int64              `json:"nb,omitempty"`
	NoDeadline bool               `json:"nodl,omitempty"` // a retry lifted the deadline
	Cancelled  bool               `json:"can,omitempty"`
	LeaseUntil int64              `json:"until,omitempty"`
	Ended      int64              `json:"end,omitempty"`
	Result     pipeline.Result    `json:"res,omitempty"`
	Digest     pipeline.Digest    `json:"dig,omitempty"`
	Events     int                `json:"ev,omitempty"` // how many events the history has
	// Moving is set while the item is on its way to another queue: until that is
	// decided, nobody else changes it.
	Moving *journey `json:"mv,omitempty"`
	Nonce  string   `json:"nonce"`
}

// journey is a move to another queue.
type journey struct {
	To    string `json:"to"`
	Batch string `json:"batch"` // in the other queue: the decision
	At    int64  `json:"at"`
}

// stateMessage is the record as it is written: the subject may have a hash
// where its names are long.
type stateMessage struct {
	stateRecord
	ID  string `json:"id"`
	Key string `json:"key,omitempty"`
}

// stateDropped is the state of an item that was deleted: its tombstone.
const stateDropped pipeline.ItemState = "dropped"

// idemRecord is the header of a message on an idempotency key's subject.
type idemRecord struct {
	Idem  string `json:"idem"`
	ID    string `json:"id"`
	Batch string `json:"batch"`
	At    int64  `json:"at"`
	Nonce string `json:"nonce"`
}

// batchRecord is the header of a message on a batch's subject: the decision
// whether a call that took several messages has happened.
type batchRecord struct {
	Batch     string `json:"batch"`
	Committed bool   `json:"committed"`
	At        int64  `json:"at"`
	// Floor is the highest token of what a move or an import brought, if that is
	// what the call is. Later claims have higher ones. Such a decision is never
	// deleted: a move may be waiting for it.
	Floor   uint64 `json:"floor,omitempty"`
	Forever bool   `json:"ever,omitempty"`
	Nonce   string `json:"nonce"`
}

// pauseRecord is the header of the message that says whether the queue rests.
type pauseRecord struct {
	Paused bool `json:"paused"`
}

// The second token of a subject after the queue's name says what stands there.
const (
	kindItem  = "item"
	kindState = "state"
	kindIdem  = "idem"
	kindBatch = "batch"
	kindPause = "pause"
)

// names makes the names of one queue in the server.
type names struct{ queue string }

func (n names) stream() string            { return "waybill-" + token(n.queue) }
func (n names) prefix() string            { return "waybill." + token(n.queue) + "." }
func (n names) all() string               { return n.prefix() + ">" }
func (n names) item(id string) string     { return n.prefix() + kindItem + "." + token(id) }
func (n names) idem(key string) string    { return n.prefix() + kindIdem + "." + token(key) }
func (n names) batch(batch string) string { return n.prefix() + kindBatch + "." + token(batch) }
func (n names) pause() string             { return n.prefix() + kindPause }
func (n names) state(key, id string) string {
	return n.prefix() + kindState + "." + token(key) + "." + token(id)
}
func (n names) statesOf(key string) string { return n.prefix() + kindState + "." + token(key) + ".*" }

// kind returns what stands on a subject.
func (n names) kind(subject string) string {
	kind, _, _ := strings.Cut(strings.TrimPrefix(subject, n.prefix()), ".")
	return kind
}

// maxToken bounds a token, so that the longest subject and a reply subject fit
// into the server's control line (4 KiB).
const maxToken = 96

// token writes any string as one token of a subject: letters, digits, '-' and
// '_' stand for themselves, other bytes are '=' and two hexadecimal digits. The
// empty string is "=". What would be too long is "==" and its SHA-256, which no
// escaped string begins with.
func token(s string) string {
	if s == "" {
		return "="
	}
	var b strings.Builder
	for i := range len(s) {
		switch c := s[i]; {
		case c >= 'a' && c <= 'z', c >= 'A' && c <= 'Z', c >= '0' && c <= '9', c == '-', c == '_':
			b.WriteByte(c)
		default:
			fmt.Fprintf(&b, "=%02X", c)
		}
	}
	if b.Len() <= maxToken {
		return b.String()
	}
	sum := sha256.Sum256([]byte(s))
	return "==" + base64.RawURLEncoding.EncodeToString(sum[:])
}

// message makes a message of a record and its data.
func message(subject string, record any, data []byte) (*natsgo.Msg, error) {
	text, err := json.Marshal(record)
	if err != nil {
		return nil, err
	}
	return &natsgo.Msg{Subject: subject, Data: data, Header: natsgo.Header{recordHeader: {string(text)}}}, nil
}

// record reads the record of a message.
func record[T any](h natsgo.Header) (T, error) {
	var out T
	err := json.Unmarshal([]byte(h.Get(recordHeader)), &out)
	return out, err
}
