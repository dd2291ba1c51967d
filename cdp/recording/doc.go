// Package recording keeps what went over the network while a page was visited,
// and writes and reads it in the two formats that others know: HAR 1.2 (an HTTP
// Archive, for tools that look at loads) and WACZ 1.1.1 (a web archive, for
// players such as ReplayWeb.page).
//
// What comes in: the exchanges that package egress saw, and the pages that the
// browser showed. What goes out: a file, or from a file the exchanges again, to be
// served back by an egress.Archive. It knows nothing of browsers and pipelines.
//
// Bodies are complete in both formats. A HAR has them decoded, a WACZ as they were
// sent. An exchange without an answer (refused, unreachable) stands in the HAR
// with status 0 and the reason; a WACZ has only answers.
//
// Redact takes out what would let a reader act as the visitor: the values of
// cookies and of authorization headers. Bodies stay as they are.
package recording
