// Package site is a small web site to be captured: one page for each thing that
// makes capturing hard. It is served on loopback by the example and by tests.
package site

import (
	"embed"
	"fmt"
	"html/template"
	"net/http"
	"strings"
	"time"
)

//go:embed pages/*.html style.css password.txt
var files embed.FS

var templates = template.Must(template.ParseFS(files, "pages/*.html"))

// Slow is how long the slow page takes to answer.
const Slow = 1500 * time.Millisecond

// Page is one page of the site.
type Page struct {
	// Name is unique; its first element stands for the page's host.
	Name string
	// Path is the path of its URL.
	Path string
	// Kind is login for the page whose form must be filled in, else read.
	Kind string
	// Status is the HTTP status that the page ends with, redirects followed.
	Status int
}

// Pages lists the site, a page that does not exist included.
func Pages() []Page {
	return []Page{
		{"shop/list", "/list", "read", http.StatusOK},
		{"shop/error", "/error", "read", http.StatusOK},
		{"shop/moved", "/moved", "read", http.StatusOK},
		{"news/slow", "/slow", "read", http.StatusOK},
		{"news/missing", "/missing", "read", http.StatusNotFound},
		{"club/login", "/login", "login", http.StatusOK},
	}
}

// User is the only member of the club; Password is theirs.
const User = "ada"

// Password returns the password that the login form accepts.
func Password() string {
	raw, err := files.ReadFile("password.txt")
	if err != nil {
		panic(err) // embedded
	}
	return strings.TrimSpace(string(raw))
}

// Handler serves the site. It looks at paths only, so that any number of host
// names may point to it.
func Handler() http.Handler {
	mux := http.NewServeMux()
	mux.HandleFunc("GET /{$}", page("index.html", http.StatusOK))
	mux.HandleFunc("GET /list", page("list.html", http.StatusOK))
	mux.HandleFunc("GET /items.json", items)
	mux.HandleFunc("GET /error", page("error.html", http.StatusOK))
	mux.HandleFunc("GET /moved", func(w http.ResponseWriter, r *http.Request) {
		http.Redirect(w, r, "/list", http.StatusFound)
	})
	mux.HandleFunc("GET /slow", slow)
	mux.HandleFunc("GET /login", page("login.html", http.StatusOK))
	mux.HandleFunc("POST /login", login)
	mux.HandleFunc("GET /welcome", welcome)
	mux.HandleFunc("GET /style.css", func(w http.ResponseWriter, r *http.Request) { http.ServeFileFS(w, r, files, "style.css") })
	mux.HandleFunc("GET /favicon.ico", func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusNoContent) })
	mux.HandleFunc("/", page("missing.html", http.StatusNotFound))
	return mux
}

func page(name string, status int) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) { render(w, name, status, r.URL.Path) }
}

func render(w http.ResponseWriter, name string, status int, data any) {
	w.Header().Set("Content-Type", "text/html; charset=utf-8")
	w.WriteHeader(status)
	_ = templates.ExecuteTemplate(w, name, data)
}

// items is what the script of the list page fetches.
func items(w http.ResponseWriter, _ *http.Request) {
	w.Header().Set("Content-Type", "application/json")
	fmt.Fprint(w, `[
  {"name": "Sextant", "price": "148.00", "note": "Brass, with a leather case. Measures angles to a sixth of a minute."},
  {"name": "Log line", "price": "12.50", "note": "Knotted every forty-seven feet and three inches."},
  {"name": "Chronometer", "price": "1290.00", "note": "Loses less than a second a day, also in a storm."},
  {"name": "Lead and line", "price": "23.75", "note": "Tallow in the hollow end brings up a sample of the ground."},
  {"name": "Almanac", "price": "8.20", "note": "Places of the sun, the moon and fifty-seven stars for each hour of the year."}
]`)
}

// slow answers late, and again late in the middle of the page.
func slow(w http.ResponseWriter, r *http.Request) {
	select {
	case <-time.After(Slow):
		render(w, "slow.html", http.StatusOK, Slow)
	case <-r.Context().Done():
	}
}

const sessionCookie = "club"

func login(w http.ResponseWriter, r *http.Request) {
	r.Body = http.MaxBytesReader(w, r.Body, 1<<16)
	if r.FormValue("user") != User || r.FormValue("password") != Password() {
		render(w, "login.html", http.StatusUnauthorized, "Wrong name or password.")
		return
	}
	http.SetCookie(w, &http.Cookie{Name: sessionCookie, Value: User, Path: "/", HttpOnly: true, SameSite: http.SameSiteStrictMode})
	http.Redirect(w, r, "/welcome", http.StatusSeeOther)
}

func welcome(w http.ResponseWriter, r *http.Request) {
	c, err := r.Cookie(sessionCookie)
	if err != nil {
		http.Redirect(w, r, "/login", http.StatusSeeOther)
		return
	}
	render(w, "welcome.html", http.StatusOK, c.Value)
}
