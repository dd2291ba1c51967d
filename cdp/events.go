package cdp

import (
	"sync"
	"unicode/utf8"
)

// Message is something that the page wrote to its console, or an exception
// that nobody caught.
type Message struct {
	// Level is log, info, warning, error, debug, ... or exception.
	Level string `json:"level"`
	Text  string `json:"text"`
}

// Page is what is known of the document in the page's main frame.
type Page struct {
	// URL is the document's address after redirects.
	URL string
	// Status is the HTTP status of its answer; 0 if it did not come by HTTP.
	Status int
}

// LevelException is the level of an exception that nobody caught.
const LevelException = "exception"

const (
	maxMessages    = 100
	maxMessageSize = 2 << 10
	// maxRedirects is more than Navigate lets happen; between navigations a page
	// can do as it likes.
	maxRedirects = 20 * maxCommits
	// maxAnswers bounds the statuses of answers that never became a document
	// (204, downloads).
	maxAnswers = 20
)

// pageEvents keeps the state that events tell: which document is there, whether
// it is loaded, what it wrote. Its handler runs on the reader of the page.
type pageEvents struct {
	dialogs chan string

	mu         sync.Mutex
	changed    chan struct{} // closed and renewed at each change
	frame      string
	loader     string // of the committed document
	url        string
	loaded     bool
	navigating bool
	commits    int            // documents
	moves      int            // inside documents
	status     map[string]int // by loader
	failed     evFailed       // the last document that did not come
	errorPage  string         // what the document is an error page for; empty: it is none
	redirects  []string
	messages   []Message
	dropped    int
	origins    []string // of documents in all frames since the last blank, at most two
	foreign    bool     // a frame lives in another process, unseen by us
}

func newPageEvents() *pageEvents {
	return &pageEvents{dialogs: make(chan string, 64), changed: make(chan struct{}), status: map[string]int{}, url: "about:blank"}
}

// forget drops what only the last session wants to know.
func (p *pageEvents) forget() {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.messages, p.dropped, p.redirects = nil, 0, nil
}

func (p *pageEvents) setFrame(id string) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.frame = id
}

// handle takes one event in.
func (p *pageEvents) handle(ev event) {
	p.mu.Lock()
	defer p.mu.Unlock()
	switch ev := ev.(type) {
	case evConsole:
		p.note(ev)
		return
	case evSwapped:
		p.foreign = true
		return
	case evDialog:
		select {
		case p.dialogs <- ev.kind:
		default: // a page waits for its dialog, so 64 cannot be open
		}
		return
	default:
		if !p.navigation(ev) {
			return
		}
	}
	close(p.changed)
	p.changed = make(chan struct{})
}

// navigation takes an event of the main frame's navigation in and reports
// whether it changed anything.
func (p *pageEvents) navigation(ev event) bool {
	switch ev := ev.(type) {
	case evRequest:
		if ev.frame != p.frame || len(p.redirects) == maxRedirects {
			return false
		}
		p.redirects = append(p.redirects, ev.redirectedFrom)
		return false // nobody waits for it
	case evResponse:
		if ev.frame != p.frame {
			return false
		}
		if len(p.status) >= maxAnswers {
			p.status = map[string]int{p.loader: p.status[p.loader]}
		}
		p.status[ev.loader] = ev.status
		return false // nobody waits for it
	case evFailed:
		p.failed = ev
		return false // an error page follows, or nothing
	case evStarted:
		if ev.frame != p.frame {
			return false
		}
		p.navigating = true
	case evCommitted:
		p.visited(ev.url)
		if !ev.main {
			return false
		}
		if p.loader != ev.loader {
			delete(p.status, p.loader)
		}
		p.frame, p.loader, p.url, p.loaded, p.errorPage = ev.frame, ev.loader, ev.url, false, ev.unreachable
		if _, answered := p.status[ev.loader]; answered && ev.unreachable != "" {
			// An error status without a body is a document like any other.
			p.url, p.errorPage = ev.unreachable, ""
		}
		p.commits++
	case evMoved:
		if ev.frame != p.frame {
			return false
		}
		p.url, p.navigating = ev.url, false
		p.moves++
	case evLoaded:
		if ev.frame != p.frame || ev.loader != p.loader {
			return false
		}
		p.loaded, p.navigating = true, false
	case evStopped:
		if ev.frame != p.frame {
			return false
		}
		p.navigating = false
	default:
		return false
	}
	return true
}

// note keeps a message, within bounds.
func (p *pageEvents) note(ev evConsole) {
	if len(p.messages) == maxMessages {
		p.dropped++
		return
	}
	level, text, ok := ev.read()
	if !ok { // it was too large to be decoded
		p.dropped++
		return
	}
	if len(text) > maxMessageSize {
		text = text[:maxMessageSize]
		for !utf8.ValidString(text) && len(text) > 0 {
			text = text[:len(text)-1]
		}
		text += "..."
	}
	p.messages = append(p.messages, Message{level, text})
}

// pageState is a snapshot, with a channel that is closed at the next change.
type pageState struct {
	Page
	frame, loader string
	loaded        bool
	navigating    bool
	commits       int
	moves         int
	errorPage     string // what the document is an error page for, and why
	errorCode     string
	unanswered    int // requests that the proxy did not answer, set by Session.state
	changed       <-chan struct{}
}

func (p *pageEvents) state() pageState {
	p.mu.Lock()
	defer p.mu.Unlock()
	st := pageState{Page{p.url, p.status[p.loader]}, p.frame, p.loader, p.loaded, p.navigating, p.commits, p.moves, p.errorPage, "", 0, p.changed}
	if p.errorPage != "" {
		st.errorCode = "net::ERR_FAILED"
		if p.failed.loader == p.loader {
			st.errorCode = p.failed.code
		}
	}
	return st
}

// statusOf returns the status of the answer that a loader got.
func (p *pageEvents) statusOf(loader string) (int, bool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	n, ok := p.status[loader]
	return n, ok
}

func (p *pageEvents) takeRedirects() []string {
	p.mu.Lock()
	defer p.mu.Unlock()
	out := p.redirects
	p.redirects = nil
	return out
}

// Page returns what is known of the current document.
func (s *Session) Page() Page { return s.events.state().Page }

// Console returns what the page wrote so far, the first 100 messages of at most
// 2 KiB, and how many more there were.
func (s *Session) Console() (messages []Message, dropped int) {
	s.events.mu.Lock()
	defer s.events.mu.Unlock()
	return append([]Message(nil), s.events.messages...), s.events.dropped
}
