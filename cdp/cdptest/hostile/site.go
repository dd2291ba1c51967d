package hostile

import (
	"fmt"
	"net/http"
	"strings"
	"time"
)

// documents are the pages that need no code of the server.
var documents = map[string]string{
	"/{$}":     `<h1>Quiet</h1>`,
	"/wait":    `<h1>Wait</h1><script>addEventListener("load", () => setTimeout(() => fetch("/ready"), 200))</script>`,
	"/eater":   `<h1>Eater</h1><script>addEventListener("load", () => setTimeout(() => { const a = []; for (;;) a.push(new Array(1e5).fill(1.5)) }, 50))</script>`,
	"/loop":    `<h1>Loop</h1><script>while (true);</script>`,
	"/later":   `<h1>Later</h1><script>addEventListener("load", () => setTimeout(() => { while (true); }, 50))</script>`,
	"/dialogs": `<script>alert(1); confirm(2); prompt(3)</script><h1>Asked</h1>`,
	"/alerts":  `<script>while (true) alert(1)</script>`,
	"/stay":    `<h1>Stay</h1><script>onbeforeunload = (e) => { e.preventDefault(); return "no" }</script>`,
	"/picture": `<h1>Picture</h1><img src="/headers">`,
	"/storm":   `<script>location.replace("/storm?" + Math.random())</script>`,
	"/refresh": `<meta http-equiv="refresh" content="0"><h1>Refresh</h1>`,
	"/files":   `<h1>Files</h1><script>for (let i = 0; i < 5; i++) { const a = document.createElement("a"); a.href = "/file"; a.download = "f" + i; a.click() }</script>`,
	"/nodes":   `<h1>Nodes</h1><script>document.body.insertAdjacentHTML("beforeend", "<i>x</i>".repeat(100000))</script>`,
	"/frames": `<h1>Frames</h1><script>setInterval(() => { const f = document.createElement("iframe"); f.src = "/"; document.body.append(f);
		setTimeout(() => f.remove(), 20) }, 10)</script>`,
	"/popups":  `<h1>Popups</h1><script>for (let i = 0; i < 20; i++) open("/")</script>`,
	"/close":   `<h1>Close</h1><script>close()</script>`,
	"/console": `<h1>Console</h1><script>console.log("x".repeat(4 << 20)); for (let i = 0; i < 5000; i++) console.log("line", i)</script>`,
	"/workers": `<h1>Workers</h1><script>for (let i = 0; i < 8; i++) new Worker(URL.createObjectURL(new Blob(["setInterval(() => {}, 10)"])))</script>`,
	"/pushes":  `<h1>Pushes</h1><script>try { for (let i = 0; i < 1000; i++) history.pushState(0, "", "?" + i) } catch {}</script>`,
	"/tofile":  `<h1>To a file</h1><a href="file:///etc/hostname">here</a>`,
}

// Handler serves the site. ready is told when a visitor of a page that is to be
// acted upon has loaded it.
func Handler(ready chan<- struct{}) http.Handler {
	mux := http.NewServeMux()
	for path, body := range documents {
		mux.HandleFunc("GET "+path, func(w http.ResponseWriter, _ *http.Request) { write(w, body) })
	}
	mux.HandleFunc("GET /headers", func(_ http.ResponseWriter, r *http.Request) { <-r.Context().Done() })
	mux.HandleFunc("GET /ready", func(http.ResponseWriter, *http.Request) { ready <- struct{}{} })
	mux.HandleFunc("GET /drip", drip)
	mux.HandleFunc("GET /giant", giant)
	mux.HandleFunc("GET /redirect", func(w http.ResponseWriter, r *http.Request) { http.Redirect(w, r, "/redirect", http.StatusFound) })
	mux.HandleFunc("GET /file", func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Disposition", "attachment")
		_, _ = fmt.Fprint(w, "bytes")
	})
	return mux
}

func write(w http.ResponseWriter, body string) {
	w.Header().Set("Content-Type", "text/html; charset=utf-8")
	_, _ = fmt.Fprint(w, "<!doctype html><body>", body)
}

// drip sends a byte every 50 ms until nobody listens any more.
func drip(w http.ResponseWriter, r *http.Request) {
	write(w, "<h1>Drip</h1>")
	tick := time.NewTicker(50 * time.Millisecond)
	defer tick.Stop()
	for {
		select {
		case <-r.Context().Done():
			return
		case <-tick.C:
			_, _ = fmt.Fprint(w, "x")
			_ = http.NewResponseController(w).Flush()
		}
	}
}

// giant sends 50 MB that nobody has to lay out: what is measured is the reading.
func giant(w http.ResponseWriter, _ *http.Request) {
	write(w, "<h1>Giant</h1><div hidden>")
	line := "<p>" + strings.Repeat("0123456789 ", 5957) + "</p>" // 64 KiB
	for range 50_000_000 / len(line) {
		_, _ = fmt.Fprint(w, line)
	}
}
