package mongodb

import (
	"context"
	"errors"
	"fmt"
	"strings"

	"github.com/waybill-dev/waybill/pipeline"
	"go.mongodb.org/mongo-driver/v2/mongo"
)

// Codes of the server, from its error_codes.yml.
const (
	codeUnauthorized      = 13
	codeAuthFailed        = 18
	codeNamespaceNotFound = 26
	codeDuplicateKey      = 11000
)

var errClosed = errors.New("the queue is closed")

// fail turns an error of the store into a typed one that names the place; nil
// stays nil, and so do errors that are typed already or the caller's own.
func (q *Queue) fail(what string, err error) error {
	var typed *pipeline.Error
	if err == nil || errors.As(err, &typed) || errors.Is(err, context.Canceled) || errors.Is(err, pipeline.ErrLeaseLost) ||
		errors.Is(err, pipeline.ErrNotFound) {
		return err
	}
	kind, code, hint := classify(err)
	return &pipeline.Error{Kind: kind, Code: code, Hint: hint, Err: fmt.Errorf("%s: queue %q: %s: %w", q.at.shown, q.name, what, q.at.hide(err))}
}

func classify(err error) (kind pipeline.Kind, code, hint string) {
	var server mongo.ServerError
	answered := errors.As(err, &server)
	has := func(code int) bool { return answered && server.HasErrorCode(code) }
	switch {
	case errors.Is(err, errClosed), errors.Is(err, mongo.ErrClientDisconnected):
		return pipeline.Cancelled, "closed", ""
	case has(codeUnauthorized), has(codeAuthFailed), strings.Contains(err.Error(), "auth error"):
		return pipeline.Permanent, "not-allowed", "check user, password and authSource; the user needs readWrite on the database"
	case mongo.IsTimeout(err):
		return pipeline.Unavailable, "queue-timeout", "no answer from a primary in time: are the hosts right, and is there a majority?"
	case mongo.IsNetworkError(err):
		return pipeline.Unavailable, "queue-unreachable", "the connection was lost; it is made anew"
	}
	return pipeline.Unavailable, "queue-failed", ""
}

// hide keeps the password out of a message that quotes it.
func (t target) hide(err error) error {
	if t.secret == "" || !strings.Contains(err.Error(), t.secret) {
		return err
	}
	return errors.New(strings.ReplaceAll(err.Error(), t.secret, "***"))
}

// lost adds the item to ErrLeaseLost.
func (q *Queue) lost(it *pipeline.Item) error {
	return fmt.Errorf("queue %q: item %s, attempt %d: %w", q.name, it.ID, it.Attempt, pipeline.ErrLeaseLost)
}
