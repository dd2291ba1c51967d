// Package cdp owns browsers: it finds, launches, watches, pools, isolates and
// drives Chrome over the Chrome DevTools Protocol. It knows nothing of
// pipelines.
//
// What comes in: Options (which binary, whether sandboxed, how many sessions)
// and calls on sessions. What goes out: sessions, what pages yielded, and typed
// errors that say who is to blame.
//
//	Find -> Pool -> browser (one process group, one profile) -> Session (one
//	isolated browser context with one page) -> Navigate, WaitFor, Click, ...
//
// The life of a browser. start makes a private profile folder, launches Chrome
// as a process group of its own with its debugging pipe on descriptors 3 and 4,
// and drains what it prints. As root, Chrome runs as another user, so that its
// sandbox stays on. A browser ends when it is retired after many sessions, when
// it dies, when it does not answer two pings in a row, or with its pool; then
// the whole group is killed and the folder removed. What a crash of this
// process leaves behind is found by Sweep, which only touches what is provably
// ours and ownerless.
//
// The life of a session. Acquire waits for a free slot (cancellably), picks the
// least used browser, and opens a page in a browser context of its own: cookies,
// storage and cache are shared with nobody. Close frees the slot first and
// disposes of the context in the background.
//
// Failures are told apart. Every command races the death of its browser
// (ErrBrowserLost) and the crash of its page (ErrPageCrashed); a cancelled
// context stays a cancel, a deadline becomes a *TimeoutError that says what was
// waited for, a failed navigation a *NavigationError.
//
// All that is known about chromedp and cdproto stands in the files adapter*.go;
// their interface may change with each release. page.js is the one script that
// runs inside pages, in an isolated world where the page cannot tamper with it.
package cdp
