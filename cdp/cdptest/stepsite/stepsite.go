// Package stepsite is the site that the examples of docs/steps.md and the tests of
// the steps run against. Each page shows what was done to it, so that a test can
// see that a step had its effect.
package stepsite

import (
	"embed"
	"fmt"
	"html"
	"io"
	"io/fs"
	"net/http"
	"net/http/httptest"
	"testing"
)

//go:embed pages
var pages embed.FS

// Handler serves the pages by their names (/form is pages/form.html), and:
//
//	/echo         the request: its method, fields, files and some headers
//	/report.csv   a download
func Handler() http.Handler {
	root, err := fs.Sub(pages, "pages")
	if err != nil {
		panic(err) // the folder is embedded
	}
	mux := http.NewServeMux()
	mux.HandleFunc("GET /{page}", func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Type", "text/html; charset=utf-8")
		raw, err := fs.ReadFile(root, r.PathValue("page")+".html")
		if err != nil {
			w.WriteHeader(http.StatusNotFound)
			raw = []byte("<!doctype html><title>Not found</title><h1>Not found</h1>")
		}
		_, _ = w.Write(raw)
	})
	mux.HandleFunc("GET /echo", echo)
	mux.HandleFunc("POST /echo", echo)
	mux.HandleFunc("GET /report.csv", func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "text/csv")
		w.Header().Set("Content-Disposition", `attachment; filename="report.csv"`)
		fmt.Fprint(w, "name,price\nSextant,148\n")
	})
	mux.HandleFunc("GET /{$}", func(w http.ResponseWriter, r *http.Request) { http.Redirect(w, r, "/list", http.StatusFound) })
	return mux
}

// echo shows what it was sent, one line of a definition list each.
func echo(w http.ResponseWriter, r *http.Request) {
	w.Header().Set("Content-Type", "text/html; charset=utf-8")
	fmt.Fprintf(w, "<!doctype html><title>Echo</title><h1>Echo</h1><dl>")
	line := func(name, value string) {
		fmt.Fprintf(w, "<dt>%s</dt><dd id=%q>%s</dd>", html.EscapeString(name), html.EscapeString(name), html.EscapeString(value))
	}
	line("method", r.Method)
	for _, h := range []string{"User-Agent", "Accept-Language", "X-Team", "Cookie"} {
		line(h, r.Header.Get(h))
	}
	if err := r.ParseMultipartForm(1 << 20); err == nil || r.Form != nil {
		for name, values := range r.Form {
			line(name, fmt.Sprint(values))
		}
	}
	if r.MultipartForm != nil {
		for name, files := range r.MultipartForm.File {
			for _, f := range files {
				part, err := f.Open()
				if err != nil {
					continue
				}
				raw, _ := io.ReadAll(io.LimitReader(part, 1000))
				part.Close()
				line(name, f.Filename+": "+string(raw))
			}
		}
	}
	fmt.Fprint(w, "</dl>")
}

// Serve serves the site on loopback until the test ends.
func Serve(tb testing.TB) string {
	tb.Helper()
	srv := httptest.NewServer(Handler())
	tb.Cleanup(func() {
		srv.CloseClientConnections()
		srv.Close()
	})
	return srv.URL
}
