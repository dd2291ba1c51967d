package nats

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"strings"

	natsgo "github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
)

// load returns the data of the message with this sequence. Any node that has the
// stream may answer, also one that is a little behind: only its leader is believed
// that a message is not there.
func (q *Queue) load(ctx context.Context, seq uint64) (data []byte, err error) {
	err = q.insist(ctx, func(ctx context.Context) error {
		m, err := q.stream.GetMsg(ctx, seq)
		if errors.Is(err, jetstream.ErrMsgNotFound) && q.replicas > 1 {
			data, err = q.loadFromLeader(ctx, seq)
		} else if err == nil {
			data = m.Data
		}
		return err
	})
	return data, err
}

// loadFromLeader asks the API of the stream, which its leader answers; the
// client library itself asks any node of a stream that allows it.
func (q *Queue) loadFromLeader(ctx context.Context, seq uint64) ([]byte, error) {
	m, err := q.askLeader(ctx, q.names.stream(), fmt.Appendf(nil, `{"seq":%d}`, seq))
	return m.Data, err
}

// stored is a message as the API of a stream tells it.
type stored struct {
	Seq  uint64
	Data []byte
	Hdrs []byte
}

// recordOf reads the record of a message.
func recordOf[T any](m stored) (T, error) {
	h, err := natsgo.DecodeHeadersMsg(m.Hdrs)
	if err != nil {
		var none T
		return none, err
	}
	return record[T](h)
}

func (q *Queue) askLeader(ctx context.Context, stream string, question []byte) (stored, error) {
	reply, err := q.conn.RequestWithContext(ctx, "$JS.API.STREAM.MSG.GET."+stream, question)
	if err != nil {
		return stored{}, err
	}
	var answer struct {
		Error   *jetstream.APIError
		Message stored
	}
	if err := json.Unmarshal(reply.Data, &answer); err != nil {
		return stored{}, err
	}
	switch {
	case answer.Error == nil:
		return answer.Message, nil
	case answer.Error.ErrorCode == jetstream.JSErrCodeMessageNotFound:
		return stored{}, jetstream.ErrMsgNotFound
	}
	return stored{}, answer.Error
}

// remove deletes a message for good; it may be gone already.
func (q *Queue) remove(ctx context.Context, s jetstream.Stream, seq uint64) error {
	err := q.insist(ctx, func(ctx context.Context) error { return s.DeleteMsg(ctx, seq) })
	q.point("a message deleted")
	if errors.Is(err, jetstream.ErrMsgDeleteUnsuccessful) {
		for _, gone := range [...]string{"not found", "no message found", "deleted message", "EOF"} {
			if strings.Contains(err.Error(), gone) {
				return nil
			}
		}
	}
	return err
}
