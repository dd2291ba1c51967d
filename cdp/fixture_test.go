package cdp_test

import (
	"fmt"
	"net/http"
	"net/http/httptest"
	"testing"
)

// pages are the documents of the fixture, by path.
var pages = map[string]string{
	"/":      `<!doctype html><title>Home</title><h1>Home</h1><p id=price>EUR 1,290.50</p><ul><li>a</li><li>b</li></ul><a href="/next">next</a>`,
	"/next":  `<!doctype html><h1>Next</h1>`,
	"/late":  `<!doctype html><h1>Late</h1><script>setTimeout(() => { document.body.innerHTML += "<p id=late style=display:none>x</p>"; setTimeout(() => late.style.display = "block", 100) }, 100)</script>`,
	"/form":  `<!doctype html><form action="/done"><input id=q name=q value=old><select id=s name=s><option value=1>One</option><option value=2>Two</option></select><button>Go</button></form>`,
	"/done":  `<!doctype html><h1 id=done>Done</h1>`,
	"/cover": `<!doctype html><button id=b onclick="document.title='clicked'">B</button><div id=over style="position:fixed;inset:0"></div><script>setTimeout(() => over.remove(), 300)</script>`,
	"/stuck": `<!doctype html><button id=b>B</button><div id=over style="position:fixed;inset:0"></div>`,
	"/js":    `<!doctype html><script>location.replace("/next")</script>`,
	"/storm": `<!doctype html><script>location.replace("/storm?" + Math.random())</script>`,
	"/alert": `<!doctype html><script>alert(1); confirm(2); prompt(3)</script><h1>after</h1>`,
	"/popup": `<!doctype html><script>for (let i = 0; i < 3; i++) open("/next")</script><h1>opener</h1>`,
	"/tall":  `<!doctype html><body style="margin:0"><div style="height:5000px;background:#f00"></div><div style="height:1000px;background:#00f"></div>`,
	"/vast":  `<!doctype html><body style="margin:0"><div style="height:60000px;width:1000px"></div>`,
	"/big":   `<!doctype html><body><script type="text/plain" id=d></script><script>d.textContent = "\u{1F600}a".repeat(600000)</script>`,
	"/noisy": `<!doctype html><script>for (let i = 0; i < 300; i++) console.log("line", i); console.warn("x".repeat(5000)); throw new Error("kaboom")</script>`,
	"/frame": `<!doctype html><h1>Frame</h1><iframe src="/moved"></iframe>`,
	"/close": `<!doctype html><h1>x</h1>`,
}

// serve serves the fixture on loopback. /hang never answers; /hang/started
// tells when it was asked.
func serve(t *testing.T) (url string, hanging <-chan struct{}) {
	t.Helper()
	asked := make(chan struct{}, 16)
	mux := http.NewServeMux()
	for path, body := range pages {
		mux.HandleFunc(pattern(path), func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Content-Type", "text/html; charset=utf-8")
			fmt.Fprint(w, body)
		})
	}
	mux.HandleFunc("GET /hang", func(_ http.ResponseWriter, r *http.Request) {
		asked <- struct{}{}
		<-r.Context().Done()
	})
	mux.HandleFunc("GET /moved", func(w http.ResponseWriter, r *http.Request) { http.Redirect(w, r, "/moved2", http.StatusFound) })
	mux.HandleFunc("GET /moved2", func(w http.ResponseWriter, r *http.Request) { http.Redirect(w, r, "/next", http.StatusFound) })
	mux.HandleFunc("GET /loop", func(w http.ResponseWriter, r *http.Request) { http.Redirect(w, r, "/loop", http.StatusFound) })
	mux.HandleFunc("GET /empty500", func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusInternalServerError) })
	mux.HandleFunc("GET /file.bin", func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Disposition", "attachment")
		fmt.Fprint(w, "bytes")
	})
	mux.HandleFunc("GET /agent", func(w http.ResponseWriter, r *http.Request) { fmt.Fprint(w, r.UserAgent()) })
	srv := httptest.NewServer(mux)
	t.Cleanup(func() {
		srv.CloseClientConnections()
		srv.Close()
	})
	return srv.URL, asked
}

// pattern matches exactly this path.
func pattern(path string) string {
	if path == "/" {
		path = "/{$}"
	}
	return "GET " + path
}
