// Package execute is the stage that visits pages with a real browser: it
// navigates, waits, clicks, types, and reads what the page shows.
//
// What comes in: an item, and from the pipeline file a list of steps in the
// vocabulary of the Chrome DevTools Recorder (navigate, waitForElement, click,
// type) plus what a capture needs (extract, evaluate, html, screenshot, console,
// assert). What goes out: fields on the item's body, artifacts beside it, the
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
// gone afterwards. Every step has a deadline. A step that fails fails the item
// with the step's place in the file, a code, and a kind:
//
//	browser-lost, browser-unavailable   unavailable: goes back, no attempt lost
//	page-crashed, page-closed           retry: a page that always crashes ends
//	timeout, element-not-found,
//	navigation-failed                   retry
//	assert-failed, script-failed,
//	scheme-refused, too-large           permanent
//
// A missing page (404) is a page: only expectStatus or assert make it a failure.
//
// The stage must not know how browsers are launched, shared or found dead; that
// is package cdp. Data of an item never becomes code: expressions stand in
// values, never in the text of a script.
package execute
