package mongoconn

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
	CodeUnauthorized      = 13
	CodeNamespaceNotFound = 26
	CodeIndexNotFound     = 27
	CodeDuplicateKey      = 11000

	codeAuthFailed = 18
)

// Ends of codes; they begin with what it is: queue-timeout.
const (
	timedOut    = "-timeout"
	unreachable = "-unreachable"
	failed      = "-failed"
)

// ErrClosed is what a call gets that comes after Close.
var ErrClosed = errors.New("the connection is closed")

// own are errors of the contracts, which callers tell apart.
var own = []error{context.Canceled, pipeline.ErrLeaseLost, pipeline.ErrNotFound, pipeline.ErrConflict, pipeline.ErrCorrupt}

// Fail turns an error of the server into a typed one that names the place and what
// was tried ("" if that is plain); nil stays nil, and so do errors that are typed
// already or of the contracts in pipeline.
func (c *Conn) Fail(what string, err error) error {
	var typed *pipeline.Error
	if err == nil || errors.As(err, &typed) {
		return err
	}
	for _, e := range own {
		if errors.Is(err, e) {
			return err
		}
	}
	if what != "" {
		what += ": "
	}
	kind, code, hint := c.classify(err)
	return &pipeline.Error{Kind: kind, Code: code, Hint: hint, Err: fmt.Errorf("%s: %s%w", c.Shown, what, c.Hide(err))}
}

func (c *Conn) classify(err error) (kind pipeline.Kind, code, hint string) {
	switch {
	case errors.Is(err, ErrClosed), errors.Is(err, mongo.ErrClientDisconnected):
		return pipeline.Cancelled, "closed", ""
	case HasCode(err, CodeUnauthorized), HasCode(err, codeAuthFailed), strings.Contains(err.Error(), "auth error"):
		return pipeline.Permanent, "not-allowed", "check user, password and authSource; the user needs readWrite on the database"
	case mongo.IsTimeout(err):
		return pipeline.Unavailable, c.noun + timedOut, "no answer from a primary in time: are the hosts right, and is there a majority?"
	case mongo.IsNetworkError(err):
		return pipeline.Unavailable, c.noun + unreachable, "the connection was lost; it is made anew"
	}
	return pipeline.Unavailable, c.noun + failed, ""
}

// HasCode reports whether the server answered with that code.
func HasCode(err error, code int) bool {
	var server mongo.ServerError
	return errors.As(err, &server) && server.HasErrorCode(code)
}
