// Package cdp owns browsers: it finds, launches, watches, pools, isolates and
// drives Chrome over the Chrome DevTools Protocol. It knows nothing of
// pipelines.
//
// What comes in: Options (which binary, whether sandboxed, how many sessions)
// and calls on sessions. What goes out: sessions, what pages yielded, and typed
// errors that say who is to blame.
//
//	Find -> Pool -> browser (one process group, one profile) -> Session (one
//	page, isolated as its Request says) -> Navigate, WaitFor, Click, ...
//
// The life of a browser (browser.go, process.go, profile.go). start makes a
// private profile folder, launches Chrome as a process group of its own with its
// debugging pipe on descriptors 3 and 4, and drains what it prints. As root,
// Chrome runs as another user, so that its sandbox stays on. A browser takes no
// more sessions when it has had many, is old, uses too much memory (memory.go) or
// did not open or close three pages in time; it ends when those it has are
// closed. It ends at once when it dies, when it does not answer two pings in a
// row, or with its pool; then the whole group is killed and the folder removed.
// What a crash of this process leaves behind is found by Sweep, which only touches
// what is provably ours and ownerless. Profiles that are kept (profile_kept.go)
// have one holder at a time, also over processes. Instead of launching, a pool can
// use a browser that runs already (remote.go).
//
// The life of a session (pool.go, isolation.go). Lease waits for its profile or
// sticky session, then at the gate (gate.go: first come first served in a group,
// groups take turns, bounded, cancellable), picks the least used browser, and
// opens a page in a browser context of its own, or takes one that was parked for
// it (parking.go), cleared if need be (reuse.go). Close frees the place first and
// closes, clears or parks the page in the background.
//
// Failures are told apart. Every command races the death of its browser
// (ErrBrowserLost) and the crash of its page (ErrPageCrashed); a cancelled
// context stays a cancel, a deadline becomes a *TimeoutError that says what was
// waited for, a failed navigation a *NavigationError. After a timeout the browser
// is pinged, so that a frozen one is not taken for a slow page, and the next
// command first stops what keeps the page busy (rescue.go).
//
// The way out (egress.go, package egress). With Options.Egress each browser context
// has a port of its own at a proxy that says what pages may reach, loopback
// included; the browser's own requests have another. Package recording writes and
// reads what went through.
//
// The connection (adapter_conn.go, adapter_call.go) is our own: one goroutine reads,
// commands that do not need each other's answers go out together, events that
// nobody listens to are dropped before they are decoded, and an answer that is
// larger than its caller allows is thrown away as it comes. It writes to a pipe
// (adapter_pipe.go) or to a web socket (adapter_remote.go).
//
// All that is known about the protocol's types (cdproto), and what chromedp still
// gives, the web socket and the list of devices, stands in the files adapter*.go;
// their interface may change with each release. page.js is the one script that
// runs inside pages, in an isolated world where the page cannot tamper with it.
package cdp
