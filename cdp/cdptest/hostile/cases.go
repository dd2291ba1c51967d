package hostile

// Case is a visit and how it has to end.
type Case struct {
	Name string
	// Tries completes "the page ...".
	Tries string
	// Path of the page; the first step navigates there.
	Path string
	// Steps are more steps, as a YAML list; URL stands for the site's address.
	Steps string
	// Timeout of the first step. Empty: long enough for a page that loads.
	Timeout string
	// Act is done to the browser while the last step waits; see the constants.
	Act Act
	// Kind and Code are those of the error; empty: the visit succeeds.
	Kind, Code string
	// Says is part of the error's text.
	Says string
	// Bound says what ends it.
	Bound string
}

// Act is what happens to the browser from outside.
type Act string

const (
	KillBrowser Act = "kill the browser"
	StopBrowser Act = "stop the browser"
)

const (
	retry       = "retry"
	permanent   = "permanent"
	unavailable = "unavailable"
)

// Cases lists all visits.
func Cases() []Case {
	return []Case{
		{Name: "crash", Tries: "eats memory until its process crashes", Path: "/eater", Steps: "- waitForElement: \"#never\"",
			Kind: retry, Code: "page-crashed", Says: "crashed", Bound: "512 MiB of script memory and the crash event; an attempt is lost, so that a page that always crashes ends"},
		{Name: "killed browser", Tries: "is open when the browser dies", Path: "/wait", Steps: "- waitForElement: \"#never\"", Act: KillBrowser,
			Kind: unavailable, Code: "browser-lost", Says: "killed", Bound: "the end of the process"},
		{Name: "frozen browser", Tries: "is open when the browser stops answering", Path: "/wait", Steps: "- waitForElement: \"#never\"\n  timeout: 1500ms", Act: StopBrowser,
			Kind: unavailable, Code: "browser-lost", Says: "ping", Bound: "two pings in a row, or one after the step's deadline"},
		{Name: "while(1)", Tries: "never gives its thread back", Path: "/loop", Timeout: "400ms",
			Kind: retry, Code: "timeout", Says: "navigation", Bound: "the step's deadline"},
		{Name: "while(1), later", Tries: "loads, then never gives its thread back", Path: "/later", Steps: "- waitForElement: \"#never\"\n  timeout: 400ms",
			Kind: retry, Code: "timeout", Says: "#never", Bound: "the step's deadline"},
		{Name: "while(1), survived", Tries: "hangs an optional step", Path: "/later", Steps: "- waitForElement: \"#never\"\n  timeout: 400ms\n  optional: true\n- extract: { title: h1 }\n  timeout: 20s",
			Bound: "the script is terminated before the next step"},
		{Name: "alert, confirm, prompt", Tries: "asks, and waits for the answer", Path: "/dialogs", Steps: "- extract: { title: h1 }",
			Bound: "dialogs are dismissed at once"},
		{Name: "alert for ever", Tries: "asks again and again", Path: "/alerts", Timeout: "400ms",
			Kind: retry, Code: "timeout", Says: "navigation", Bound: "the step's deadline"},
		{Name: "beforeunload", Tries: "does not want to be left", Path: "/stay", Steps: "- navigate: URL/", Bound: "the browser leaves"},
		{Name: "headers never", Tries: "never answers", Path: "/headers", Timeout: "400ms",
			Kind: retry, Code: "timeout", Says: "navigation", Bound: "the step's deadline"},
		{Name: "slow loris", Tries: "sends a byte now and then", Path: "/drip", Timeout: "400ms",
			Kind: retry, Code: "timeout", Says: "navigation", Bound: "the step's deadline"},
		{Name: "endless load", Tries: "has a picture that never comes", Path: "/picture", Timeout: "400ms",
			Kind: retry, Code: "timeout", Says: "navigation", Bound: "the step's deadline"},
		{Name: "endless load, survived", Tries: "is read all the same", Path: "/picture", Timeout: "400ms, optional",
			Steps: "- extract: { title: h1 }", Bound: "loading is stopped"},
		{Name: "redirect loop", Tries: "redirects to itself", Path: "/redirect",
			Kind: permanent, Code: "navigation-failed", Says: "ERR_TOO_MANY_REDIRECTS", Bound: "20 redirects"},
		{Name: "script redirect loop", Tries: "replaces itself while it loads", Path: "/storm",
			Kind: permanent, Code: "navigation-failed", Says: "on and on", Bound: "20 documents of one step"},
		{Name: "meta refresh loop", Tries: "reloads itself as soon as it is loaded", Path: "/refresh", Steps: "- extract: { title: h1 }",
			Bound: "a step works on the document of its moment"},
		{Name: "download", Tries: "is a file", Path: "/file",
			Kind: permanent, Code: "navigation-failed", Says: "download", Bound: "downloads are denied"},
		{Name: "download by script", Tries: "starts downloads by itself", Path: "/files", Steps: "- extract: { title: h1 }", Bound: "downloads are denied"},
		{Name: "50 MB", Tries: "has 50 MB of text", Path: "/giant", Steps: "- html: page.html",
			Kind: permanent, Code: "too-large", Says: "the page's HTML", Bound: "maxBytes, counted in the page before anything is sent"},
		{Name: "100,000 nodes", Tries: "has 100,000 elements", Path: "/nodes", Steps: "- extract: { first: i }\n- html: page.html",
			Bound: "one call into the page per step"},
		{Name: "giant value", Tries: "makes a script's value of 50 MB", Path: "/", Steps: "- evaluate: { script: \"({ x: 'x'.repeat(5e7) })\", as: x }",
			Kind: permanent, Code: "too-large", Says: "value", Bound: "maxBytes, counted in the page before anything is sent"},
		{Name: "detached frames", Tries: "adds and removes frames all the time", Path: "/frames", Steps: "- extract: { title: h1 }\n- html: page.html",
			Bound: "only the main frame's document counts"},
		{Name: "popups", Tries: "opens 20 windows", Path: "/popups", Steps: "- extract: { title: h1 }", Bound: "popups are closed"},
		{Name: "self-closing", Tries: "closes its own window", Path: "/close", Steps: "- waitForElement: h1", Bound: "only windows that a script opened may close"},
		{Name: "console flood", Tries: "writes 5,000 messages, one of 4 MB", Path: "/console", Steps: "- console: console.json", Bound: "the first 100 messages, 2 KiB of each; the rest is counted"},
		{Name: "workers", Tries: "starts 8 workers", Path: "/workers", Steps: "- extract: { title: h1 }", Bound: "they end with the browser context"},
		{Name: "address bar flood", Tries: "changes its address 1,000 times", Path: "/pushes", Steps: "- extract: { title: h1 }", Bound: "events only count"},
		{Name: "broken certificate", Tries: "has a certificate that nobody trusts", Path: "https",
			Kind: permanent, Code: "navigation-failed", Says: "ERR_CERT", Bound: "TLS is checked"},
		{Name: "file:", Tries: "leads to a file of this machine", Path: "/tofile", Steps: "- click: a\n- assert: { url: \"*/tofile\" }",
			Bound: "Chrome keeps pages from it; navigate refuses all but http and https"},
	}
}
