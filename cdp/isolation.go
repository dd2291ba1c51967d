package cdp

import (
	"fmt"
	"time"
)

// Isolation says what a session shares with those before and beside it.
type Isolation string

const (
	// IsolateContext is the default: a new browser context, whose cookies,
	// storage and cache begin empty and are gone afterwards. It costs about
	// twice what a reused page does.
	IsolateContext Isolation = "context"
	// IsolatePage uses a page again for requests with the same Key, after its
	// cookies, storage, cache and history were cleared and it was seen to show
	// about:blank. A page that visited more than one origin cannot be cleared
	// and is not used again.
	IsolatePage Isolation = "page"
	// IsolateProfile is a browser on a profile folder that is kept, named by
	// Key. One session has it at a time, on this machine; it is closed so that
	// everything is written.
	IsolateProfile Isolation = "profile"
	// IsolateProcess is a browser of its own, killed afterwards.
	IsolateProcess Isolation = "process"
)

// Request says what kind of session is wanted. Its zero value asks for a new
// browser context.
type Request struct {
	Isolation Isolation
	// Key is the trust key of IsolatePage, or the profile's name of
	// IsolateProfile.
	Key string
	// Group is who asks, a pipeline for instance: waiting groups take turns.
	Group string
	// Sticky keeps the session's browser context, with the page as it was left,
	// for the next request with the same key. Only for IsolateContext.
	Sticky Sticky
}

// Sticky says which requests continue where another ended. They take turns.
type Sticky struct {
	// Key is empty for a session that nobody continues.
	Key string
	// TTL ends a context that nobody asks for; default 5 min.
	TTL time.Duration
	// Uses ends a context after that many sessions; default 50.
	Uses int
}

// maxPageUses is how often IsolatePage uses a page.
const maxPageUses = 50

func (r Request) withDefaults() (Request, error) {
	if r.Isolation == "" {
		r.Isolation = IsolateContext
	}
	switch r.Isolation {
	case IsolateContext, IsolatePage, IsolateProfile, IsolateProcess:
	default:
		return r, fmt.Errorf("no isolation is called %q", r.Isolation)
	}
	if keyed := r.Isolation == IsolatePage || r.Isolation == IsolateProfile; keyed == (r.Key == "") {
		if keyed {
			return r, fmt.Errorf("isolation %s wants a key", r.Isolation)
		}
		return r, fmt.Errorf("isolation %s takes no key", r.Isolation)
	}
	if r.Sticky.Key != "" && r.Isolation != IsolateContext {
		return r, fmt.Errorf("isolation %s cannot be sticky, only %s can", r.Isolation, IsolateContext)
	}
	setDefault(&r.Sticky.TTL, 5*time.Minute)
	setDefault(&r.Sticky.Uses, 50)
	return r, nil
}

// exclusive names what one request has at a time: a profile or a sticky
// session. Empty: nothing.
func (r Request) exclusive() string {
	switch {
	case r.Isolation == IsolateProfile:
		return "profile " + r.Key
	case r.Sticky.Key != "":
		return "session " + r.Sticky.Key
	}
	return ""
}

// parking says under which name the page may be used again, how often and for
// how long it waits for that. An empty name: never.
func (r Request) parking() (name string, uses int, ttl time.Duration) {
	switch {
	case r.Isolation == IsolatePage:
		return "page " + r.Key, maxPageUses, r.Sticky.TTL
	case r.Sticky.Key != "":
		return r.exclusive(), r.Sticky.Uses, r.Sticky.TTL
	}
	return "", 1, 0
}
