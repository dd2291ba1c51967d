package capability

import (
	"fmt"
	"io"
	"log"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync/atomic"
	"testing"
)

// quiet is a log that nobody reads.
func quiet() *log.Logger { return log.New(io.Discard, "", 0) }

// seen is what a server saw of one request.
type seen struct{ path, key, referer, body string }

// recorder is a server that notes requests and redirects those for /to.
func recorder(t *testing.T, to *string, status int) (host string, got *[]seen) {
	t.Helper()
	got = new([]seen)
	return serve(t, func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path == "/end/" {
			http.Redirect(w, r, "/end", status)
			return
		}
		body, _ := io.ReadAll(r.Body)
		*got = append(*got, seen{r.URL.Path, r.Header.Get("X-Api-Key") + r.Header.Get("Authorization"), r.Header.Get("Referer"), string(body)})
		if r.URL.Path == "/to" {
			http.Redirect(w, r, *to, status)
		}
	}), got
}

func withKey(hosts ...string) HTTPConfig {
	return HTTPConfig{Hosts: hosts, Methods: []string{"GET", "POST"}, Credentials: map[string]Credential{"key": {Header: "X-Api-Key", Value: "hidden"}}}
}

func TestRedirectToWhatIsNotGranted(t *testing.T) {
	var to string
	host, _ := recorder(t, &to, http.StatusFound)
	other, visits := recorder(t, &to, http.StatusFound)
	h := client(t, withKey(host))
	for target, part := range map[string]string{
		"http://" + other: "is not granted", "https://" + host + "/x": "", "ftp://" + host + "/x": "ftp",
		"http://u:p@" + host + "/x": "user name", "//" + other: "is not granted",
	} {
		to = target
		_, err := ask(t, h, "", "url", "http://"+host+"/to", "credential", "key")
		if part == "" { // the port is granted, and does not speak TLS
			refused(t, target, err, Failed, "")
			continue
		}
		refused(t, target, err, Denied, part)
		refused(t, target, err, Denied, "redirected: ")
	}
	if len(*visits) > 0 {
		t.Errorf("the other host saw %v", *visits)
	}
}

// TestRedirectToAPrivateAddress: the list allows the name, its address is looked
// at on each hop.
func TestRedirectToAPrivateAddress(t *testing.T) {
	to := "http://0.0.0.0:1/"
	host, _ := recorder(t, &to, http.StatusFound)
	h := client(t, HTTPConfig{Hosts: []string{host, "0.0.0.0:1"}})
	_, err := ask(t, h, "", "url", "http://"+host+"/to")
	refused(t, to, err, Denied, "not of the public internet")
}

// TestCredentialsStayAtTheirOrigin, whatever their header is called.
func TestCredentialsStayAtTheirOrigin(t *testing.T) {
	var to, back string
	host, first := recorder(t, &to, http.StatusTemporaryRedirect)
	other, second := recorder(t, &back, http.StatusTemporaryRedirect)
	for _, header := range []string{"X-Api-Key", "Authorization"} {
		*first, *second = nil, nil
		to, back = "http://"+other+"/to", "http://"+host+"/end/"
		c := withKey(host, other)
		c.Credentials["key"] = Credential{Header: header, Value: "hidden"}
		h := client(t, c)
		if _, err := ask(t, h, "body", "method", "POST", "url", "http://"+host+"/to", "credential", "key"); err != nil {
			t.Fatal(err)
		}
		if got := fmt.Sprint(*first, *second); got != "[{/to hidden  body} {/end   body}] [{/to   body}]" {
			t.Errorf("%s: %s", header, got)
		}
		*first = nil
		to = "/end"
		if _, err := ask(t, h, "", "url", "http://"+host+"/to?token=x", "credential", "key"); err != nil {
			t.Fatal(err)
		}
		if got := fmt.Sprint(*first); got != "[{/to hidden  } {/end hidden  }]" {
			t.Errorf("%s, one origin: %s", header, got)
		}
	}
}

// TestRedirectFromTLS: the same host without TLS is another origin.
func TestRedirectFromTLS(t *testing.T) {
	host, plain := recorder(t, new(string), http.StatusFound)
	s := httptest.NewTLSServer(http.RedirectHandler("http://"+host+"/end", http.StatusFound))
	t.Cleanup(s.Close)
	c := withKey(host, strings.TrimPrefix(s.URL, "https://"))
	c.Roots = s.Client().Transport.(*http.Transport).TLSClientConfig.RootCAs
	if _, err := ask(t, client(t, c), "", "url", s.URL, "credential", "key"); err != nil {
		t.Fatal(err)
	}
	if got := fmt.Sprint(*plain); got != "[{/end   }]" {
		t.Error(got)
	}
}

func TestRedirectsAreCountedAndKeepToTheMethods(t *testing.T) {
	var hops atomic.Int32
	host := serve(t, func(w http.ResponseWriter, r *http.Request) {
		hops.Add(1)
		left := len(r.URL.Path) - 1
		if left > 0 {
			http.Redirect(w, r, r.URL.Path[:left], http.StatusFound)
		}
	})
	h := client(t, HTTPConfig{Hosts: []string{host}})
	for left, good := range map[int]bool{0: true, maxRedirects: true, maxRedirects + 1: false} {
		hops.Store(0)
		_, err := ask(t, h, "", "url", "http://"+host+"/"+strings.Repeat("x", left))
		if (err == nil) != good || int(hops.Load()) != min(left, maxRedirects)+1 {
			t.Errorf("%d redirects: %d requests, %v", left, hops.Load(), err)
		}
		if !good {
			refused(t, "too many", err, Failed, "5 redirects")
		}
	}
	// 302 makes a GET of a POST, which is not granted here.
	h = client(t, HTTPConfig{Hosts: []string{host}, Methods: []string{"POST"}})
	_, err := ask(t, h, "", "method", "POST", "url", "http://"+host+"/x")
	refused(t, "another method", err, Denied, `method "GET"`)
}
