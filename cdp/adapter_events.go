package cdp

import (
	"fmt"
	"strings"

	"github.com/chromedp/cdproto/cdp/jsonv2"
	"github.com/chromedp/cdproto/network"
	"github.com/chromedp/cdproto/page"
	"github.com/chromedp/cdproto/runtime"
)

// event is what a session wants to know of its page. Exactly one type each.
type event any

type (
	evRequest  struct{ frame, redirectedFrom string } // the document is asked for again
	evResponse struct {
		loader string
		frame  string
		status int
	} // the document's answer
	evFailed    struct{ loader, code string } // the document's answer did not come
	evStarted   struct{ frame, url string }   // a navigation began
	evCommitted struct {
		frame, loader, url string
		unreachable        string // what an error page is shown for
		main               bool
	}
	evMoved   struct{ frame, url string } // inside the document (#fragment, history)
	evLoaded  struct{ frame, loader string }
	evStopped struct{ frame string }
	evSwapped struct{} // a frame moved to another process
	evDialog  struct{ kind string }
	// evConsole is decoded by read, since a page may write more than anybody reads.
	evConsole struct {
		read func() (level, text string, ok bool)
	}
)

// pageEventMethods lists the events that translate knows.
func pageEventMethods() []string {
	return []string{
		network.RequestWillBeSent.Method, network.ResponseReceived.Method, network.LoadingFailed.Method,
		page.FrameStartedNavigating.Method, page.FrameRequestedNavigation.Method, page.FrameNavigated.Method,
		page.NavigatedWithinDocument.Method, page.LifecycleEvent.Method, page.FrameStoppedLoading.Method,
		page.FrameDetached.Method, page.JavascriptDialogOpening.Method,
		runtime.ConsoleAPICalled.Method, runtime.ExceptionThrown.Method,
	}
}

func decode[E any](params jsonv2.Value) (ev E, ok bool) {
	return ev, jsonv2.Unmarshal(params, &ev, lenient) == nil
}

// documentEvent is the part of a network event that says something of a document.
// Pages ask for many things, and whole events say much of each.
type documentEvent struct {
	RequestID network.RequestID    `json:"requestId"`
	LoaderID  string               `json:"loaderId"`
	FrameID   string               `json:"frameId"`
	Type      network.ResourceType `json:"type"`
	ErrorText string               `json:"errorText"`
	Response  struct {
		Status int `json:"status"`
	} `json:"response"`
	Redirect *struct {
		URL string `json:"url"`
	} `json:"redirectResponse"`
}

// translate turns the protocol's events into ours.
func translate(on func(event)) func(string, jsonv2.Value) {
	return func(method string, params jsonv2.Value) {
		switch method {
		case network.RequestWillBeSent.Method, network.ResponseReceived.Method, network.LoadingFailed.Method:
			if ev, ok := decode[documentEvent](params); ok && ev.Type == network.ResourceTypeDocument {
				translateDocument(method, ev, on)
			}
		case page.FrameStartedNavigating.Method:
			if ev, ok := decode[page.EventFrameStartedNavigating](params); ok {
				on(evStarted{string(ev.FrameID), ev.URL})
			}
		case page.FrameRequestedNavigation.Method:
			if ev, ok := decode[page.EventFrameRequestedNavigation](params); ok {
				on(evStarted{string(ev.FrameID), ev.URL})
			}
		case page.FrameNavigated.Method:
			if ev, ok := decode[page.EventFrameNavigated](params); ok {
				f := ev.Frame
				on(evCommitted{string(f.ID), string(f.LoaderID), f.URL + f.URLFragment, f.UnreachableURL, f.ParentID == ""})
			}
		case page.NavigatedWithinDocument.Method:
			if ev, ok := decode[page.EventNavigatedWithinDocument](params); ok {
				on(evMoved{string(ev.FrameID), ev.URL})
			}
		case page.LifecycleEvent.Method:
			if ev, ok := decode[page.EventLifecycleEvent](params); ok && ev.Name == "load" {
				on(evLoaded{string(ev.FrameID), string(ev.LoaderID)})
			}
		case page.FrameStoppedLoading.Method:
			if ev, ok := decode[page.EventFrameStoppedLoading](params); ok {
				on(evStopped{string(ev.FrameID)})
			}
		case page.FrameDetached.Method:
			if ev, ok := decode[page.EventFrameDetached](params); ok && ev.Reason == page.FrameDetachedReasonSwap {
				on(evSwapped{})
			}
		case page.JavascriptDialogOpening.Method:
			// Its kind is all that counts, also if its text is too large.
			ev, _ := decode[page.EventJavascriptDialogOpening](params)
			on(evDialog{string(ev.Type)})
		case runtime.ConsoleAPICalled.Method:
			on(evConsole{func() (string, string, bool) {
				ev, ok := decode[runtime.EventConsoleAPICalled](params)
				return string(ev.Type), consoleText(ev.Args), ok
			}})
		case runtime.ExceptionThrown.Method:
			on(evConsole{func() (string, string, bool) {
				ev, ok := decode[runtime.EventExceptionThrown](params)
				if !ok {
					return "", "", false
				}
				return LevelException, exceptionText(ev.ExceptionDetails), true
			}})
		}
	}
}

func translateDocument(method string, ev documentEvent, on func(event)) {
	switch {
	case method == network.ResponseReceived.Method:
		on(evResponse{ev.LoaderID, ev.FrameID, ev.Response.Status})
	case method == network.LoadingFailed.Method:
		on(evFailed{string(ev.RequestID), ev.ErrorText})
	case ev.Redirect != nil:
		on(evRequest{ev.FrameID, ev.Redirect.URL})
	}
}

func consoleText(args []*runtime.RemoteObject) string {
	var b strings.Builder
	for i, a := range args {
		if i > 0 {
			b.WriteByte(' ')
		}
		if text, ok := jsonString(a.Value); ok {
			b.WriteString(text)
		} else if a.Description != "" {
			b.WriteString(a.Description)
		} else {
			b.Write(a.Value)
		}
	}
	return b.String()
}

func exceptionText(d *runtime.ExceptionDetails) string {
	if d.Exception != nil && d.Exception.Description != "" {
		return d.Exception.Description
	}
	if d.Exception != nil && len(d.Exception.Value) > 0 {
		return fmt.Sprintf("%s %s", d.Text, d.Exception.Value)
	}
	return d.Text
}
