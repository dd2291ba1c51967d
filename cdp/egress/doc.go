// Package egress is the one way out of a browser: an HTTP proxy on loopback that
// every request of every page, frame, worker, popup and WebSocket goes through.
// It knows nothing of browsers and nothing of pipelines.
//
// What comes in: a Policy, and connections of a browser that was told to use the
// proxy for everything, loopback included (bypass list "<-loopback>"). What goes
// out: connections to hosts that the policy allows, a Report of what was refused
// and, if asked for, every exchange with its bodies.
//
//	Proxy (policy, rate limits, key of the certificates)
//	  Lease (one listener: one browser context)
//	    Visit (one item: counters, refusals, exchanges, replay)
//
// A lease has a port of its own instead of a user name, because Chrome asks the
// page's owner for a proxy's password and 127.x.y.z does not exist everywhere;
// the port says whose request it is. Leases share no connection to an origin. Other
// processes of this machine could use the port too: it takes them nowhere that they
// could not go themselves, but they could spend a visit's bytes.
//
// The order of the checks: scheme and host against the lists, the type of the
// resource, the bytes left, robots.txt, the rate of the host; then the name is
// resolved once, each address is checked (its kind, and Deny again), and the checked
// address is dialled. The addresses are those of package netpolicy, the same as for
// kernels.
//
// What the proxy can see. A tunnel (CONNECT) is opaque: host, port and bytes are
// all that is known of it, and Chrome checks the certificate. Some policies need
// more: types, robots.txt, rates, traceparent, recording and replay look at single
// requests. For these the proxy ends TLS itself (Policy.Inspect): it checks the
// origin's certificate with the system's roots and answers Chrome with one of its
// own, made with a key that lives in this process only and that this browser
// trusts by its hash (SPKI). A recording made here has what interception through
// the DevTools protocol misses: workers, popups, frames of other sites, and the
// body of each answer.
//
// A refusal must not look like an answer of the origin, so it is an HTTP message
// that a browser may not accept: the page sees a network error, and the Error
// with the reason stands in the visit.
package egress
