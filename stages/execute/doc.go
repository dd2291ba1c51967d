// Package execute is the stage that visits pages with a real browser: it
// navigates, waits, clicks, types, and reads what the page shows.
//
// What comes in: an item, and from the pipeline file a list of steps in the
// vocabulary of the Chrome DevTools Recorder (navigate, waitForElement, click,
// ...; a recording runs as it is) and beyond (extract, screenshot, repeat, ...):
// docs/steps.md shows each. What goes out: fields on the item's body, artifacts beside it, the
// page's status and address in its meta, and the browser's build among its
// dependencies.
//
//	execute:
//	  steps:
//	    - navigate: ${{ item.body.url }}
//	    - waitForElement: main
//	    - extract: { title: { css: h1 } }
//	    - screenshot: { as: page.png }
//
// Each item gets a session of its own: cookies and storage begin empty and are
// gone afterwards, unless isolation, session or profile say otherwise
// (isolation.go). With onAuthError a login is made once for all that need it
// (renewal.go). Every step has a deadline. A step that fails fails the item
// with the step's place in the file, a code, and a kind:
//
//	browser-lost, browser-unavailable   unavailable: goes back, no attempt lost
//	page-crashed, page-closed           retry: a page that always crashes ends
//	timeout, element-not-found,
//	navigation-failed, step-failed,
//	expect-failed, too-many-rounds      retry
//	assert-failed, script-failed,
//	bad-selector, bad-upload,
//	scheme-refused, too-large           permanent
//	address-refused, host-refused,
//	robots-refused, not-in-replay,
//	certificate-invalid,
//	network-bytes-exceeded              permanent (network.go, package cdp/egress)
//
// A missing page (404) is a page: only expectStatus or assert make it a failure. A
// page that leaves for one that cannot be shown fails the step (stranded.go).
//
// Everything that a page asks for goes through a proxy of the stage, which refuses
// what is not of the public internet unless network says otherwise, and which
// records exchanges for capture (capture.go; of failures capture_failed.go) and
// answers from one (replay.go).
//
// The stage must not know how browsers are launched, shared or found dead; that
// is package cdp. Data of an item never becomes code: expressions stand in
// values, never in the text of a script.
package execute
