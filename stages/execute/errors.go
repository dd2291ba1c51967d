package execute

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/waybill-dev/waybill/cdp"
	"github.com/waybill-dev/waybill/cdp/egress"
	"github.com/waybill-dev/waybill/pipeline"
)

// failure turns what went wrong in a step into a typed error with the step's
// place. ctx is the stage's context, without the step's deadline.
func (s *Step) failure(ctx context.Context, err error) *pipeline.Error {
	e := &pipeline.Error{Pos: s.Pos, Err: fmt.Errorf("%s: %w", s.Name, err)}
	var own *pipeline.Error
	switch {
	case errors.As(err, &own):
		e.Kind, e.Code, e.Hint = own.Kind, own.Code, own.Hint
		e.Err = fmt.Errorf("%s: %w", s.Name, own.Err)
		if own.Pos.Line > 0 {
			e.Pos = own.Pos
		}
	case errors.Is(err, context.Canceled) || errors.Is(ctx.Err(), context.Canceled):
		e.Kind, e.Code = pipeline.Cancelled, "cancelled"
	default:
		e.Kind, e.Code, e.Hint = classify(err)
	}
	return e
}

// classify knows the errors of package cdp.
func classify(err error) (kind pipeline.Kind, code, hint string) {
	var (
		timeout    *cdp.TimeoutError
		nav        *cdp.NavigationError
		unanswered *egress.Error
		script     *cdp.ScriptError
		selector   *cdp.SelectorError
		large      *cdp.TooLargeError
		state      *cdp.StateError
	)
	switch {
	case errors.Is(err, cdp.ErrBrowserLost):
		return pipeline.Unavailable, "browser-lost", ""
	case errors.Is(err, cdp.ErrPoolClosed), errors.Is(err, cdp.ErrSessionClosed):
		return pipeline.Unavailable, "browser-unavailable", ""
	case errors.Is(err, cdp.ErrPageCrashed):
		// It costs an attempt: a page that always crashes must come to an end.
		return pipeline.Retry, "page-crashed", ""
	case errors.Is(err, cdp.ErrPageClosed):
		return pipeline.Retry, "page-closed", ""
	case errors.Is(err, cdp.ErrScheme):
		return pipeline.Permanent, "scheme-refused", ""
	case errors.As(err, &timeout):
		if strings.HasPrefix(timeout.Last, "no element") {
			return pipeline.Retry, "element-not-found", ""
		}
		return pipeline.Retry, "timeout", ""
	case errors.As(err, &unanswered):
		return refusal(unanswered)
	case errors.As(err, &nav):
		return navigationKind(nav), "navigation-failed", ""
	case errors.As(err, &script):
		return pipeline.Permanent, "script-failed", ""
	case errors.As(err, &selector):
		return pipeline.Permanent, "bad-selector", ""
	case errors.As(err, &state):
		return pipeline.Retry, "step-failed", ""
	case errors.As(err, &large):
		return pipeline.Permanent, "too-large", "raise maxBytes or run.budget.io, or read less"
	}
	return pipeline.Retry, "browser-error", ""
}

// hopeless are navigation failures that trying again does not cure.
var hopeless = []string{"net::ERR_TOO_MANY_REDIRECTS", "net::ERR_UNSAFE_PORT", "net::ERR_INVALID_URL", "net::ERR_UNKNOWN_URL_SCHEME", "net::ERR_UNSAFE_REDIRECT"}

func navigationKind(e *cdp.NavigationError) pipeline.Kind {
	if slices.Contains(hopeless, e.Code) || strings.HasPrefix(e.Code, "net::ERR_CERT_") || e.Detail != "" {
		return pipeline.Permanent
	}
	return pipeline.Retry
}

// acquireError is a session that could not be had: nobody blames the item.
func acquireError(ctx context.Context, err error) error {
	e := &pipeline.Error{Kind: pipeline.Unavailable, Code: "browser-unavailable", Err: fmt.Errorf("get a browser session: %w", err)}
	switch {
	case errors.Is(ctx.Err(), context.Canceled):
		e.Kind, e.Code = pipeline.Cancelled, "cancelled"
	case ctx.Err() != nil:
		e.Kind, e.Code = pipeline.Retry, "timeout"
	}
	return e
}
