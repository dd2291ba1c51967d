package nats

import (
	"context"
	"errors"
	"fmt"
	"slices"

	natsgo "github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
	"github.com/waybill-dev/waybill/pipeline"
)

var errClosed = errors.New("the queue is closed")

// errCredentials: a file that the URL names cannot be read.
var errCredentials = errors.New("a file of certificates or credentials cannot be read")

// fail turns an error of the server into a typed one that names the URL; nil
// stays nil, and so do errors that are typed already or the caller's own.
func (q *Queue) fail(what string, err error) error {
	var typed *pipeline.Error
	if err == nil || errors.As(err, &typed) || errors.Is(err, context.Canceled) || errors.Is(err, pipeline.ErrLeaseLost) ||
		errors.Is(err, pipeline.ErrConflict) {
		return err
	}
	if q.closed() {
		err = errors.Join(errClosed, err)
	}
	kind, code, hint := classify(err)
	return &pipeline.Error{Kind: kind, Code: code, Hint: hint, Err: fmt.Errorf("%s: queue %q: %s: %w", q.url, q.names.queue, what, err)}
}

// Error codes of the server for a full disk or account.
var noRoom = []jetstream.ErrorCode{10002, 10023, 10028, 10047, 10077}

func classify(err error) (kind pipeline.Kind, code, hint string) {
	var api *jetstream.APIError
	coded := errors.As(err, &api)
	switch {
	case errors.Is(err, errClosed):
		return pipeline.Cancelled, "closed", ""
	case errors.Is(err, errCredentials):
		return pipeline.Permanent, "bad-credentials", "files in the URL are relative to the pipeline's folder"
	case errors.Is(err, natsgo.ErrAuthorization), errors.Is(err, natsgo.ErrPermissionViolation), errors.Is(err, natsgo.ErrNkeysNotSupported):
		return pipeline.Permanent, "not-authorized", "name a credentials file: ?creds=FILE"
	case errors.Is(err, natsgo.ErrMaxPayload), coded && api.ErrorCode == 10054:
		return pipeline.Permanent, "body-too-large", "set max_payload: 2MB in the server's configuration"
	case errors.Is(err, jetstream.ErrJetStreamNotEnabled), errors.Is(err, jetstream.ErrJetStreamNotEnabledForAccount):
		return pipeline.Permanent, "no-jetstream", "start the server with jetstream enabled"
	case coded && slices.Contains(noRoom, api.ErrorCode):
		return pipeline.Unavailable, "disk-full", "make room, or raise the account's limits; nothing was half-written"
	case errors.Is(err, context.DeadlineExceeded), passing(err):
		return pipeline.Unavailable, "queue-unreachable", "the server does not answer, or its stream has no leader"
	}
	return pipeline.Unavailable, "queue-failed", ""
}

// lost adds the item to ErrLeaseLost.
func (q *Queue) lost(it *pipeline.Item) error {
	return fmt.Errorf("queue %q: item %s, attempt %d: %w", q.names.queue, it.ID, it.Attempt, pipeline.ErrLeaseLost)
}

func sorted(names []string) []string {
	slices.Sort(names)
	return names
}
