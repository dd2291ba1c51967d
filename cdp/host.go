package cdp

import "sync"

// host is what a browser runs in: a process of ours, or somebody else's.
type host interface {
	// exited is closed when the browser is gone, or need not be waited for.
	exited() <-chan struct{}
	// kill ends the browser at once, if it is ours.
	kill()
	// release frees what was used to speak to it.
	release()
	// ended says how it ended, for people.
	ended() string
	// said returns at most n of the last lines that it printed.
	said(n int) string
	// pid is the number of the process and of its group; 0: not ours.
	pid() int
}

// remoteHost is a browser that somebody else runs.
type remoteHost struct {
	once sync.Once
	left chan struct{}
}

func newRemoteHost() *remoteHost { return &remoteHost{left: make(chan struct{})} }

func (h *remoteHost) exited() <-chan struct{} { return h.left }
func (h *remoteHost) kill()                   { h.once.Do(func() { close(h.left) }) }
func (h *remoteHost) release()                {}
func (h *remoteHost) ended() string           { return "the connection to the endpoint was closed" }
func (h *remoteHost) said(int) string         { return "" }
func (h *remoteHost) pid() int                { return 0 }
