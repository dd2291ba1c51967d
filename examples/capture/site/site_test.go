package site_test

import (
	"io"
	"net/http"
	"net/http/cookiejar"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"

	"github.com/waybill-dev/waybill/examples/capture/site"
)

func client(t *testing.T) (*http.Client, string) {
	t.Helper()
	srv := httptest.NewServer(site.Handler())
	t.Cleanup(srv.Close)
	jar, err := cookiejar.New(nil)
	if err != nil {
		t.Fatal(err)
	}
	c := srv.Client()
	c.Jar = jar
	return c, srv.URL
}

func TestEveryPageIsServed(t *testing.T) {
	c, base := client(t)
	seen := map[string]bool{}
	for _, p := range site.Pages() {
		if seen[p.Name] {
			t.Errorf("%s is there twice", p.Name)
		}
		seen[p.Name] = true
		r, err := c.Get(base + p.Path)
		if err != nil {
			t.Fatal(err)
		}
		body, _ := io.ReadAll(r.Body)
		r.Body.Close()
		if r.StatusCode != p.Status || !strings.Contains(string(body), "<main>") || !strings.Contains(string(body), "</html>") {
			t.Errorf("%s: status %d, %d bytes", p.Name, r.StatusCode, len(body))
		}
	}
}

func TestLogin(t *testing.T) {
	c, base := client(t)
	for _, step := range []struct{ password, want string }{{"wrong", "Wrong name or password."}, {site.Password(), "Welcome, ada"}} {
		r, err := c.PostForm(base+"/login", url.Values{"user": {site.User}, "password": {step.password}})
		if err != nil {
			t.Fatal(err)
		}
		body, _ := io.ReadAll(r.Body)
		r.Body.Close()
		if !strings.Contains(string(body), step.want) {
			t.Errorf("%q is not in %s", step.want, body)
		}
	}
}
