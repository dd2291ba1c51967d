package oci

import (
	"encoding/base64"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"oras.land/oras-go/v2/registry/remote/auth"
)

// docker writes a Docker configuration and makes it the user's.
func docker(t *testing.T, text string) {
	t.Helper()
	dir := t.TempDir()
	if err := os.WriteFile(filepath.Join(dir, "config.json"), []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	t.Setenv("DOCKER_CONFIG", dir)
}

func TestCredentialsOfDocker(t *testing.T) {
	f := newRegistry(t)
	const word = "open sesame"
	f.answer(func(w http.ResponseWriter, r *http.Request) bool {
		if _, got, _ := r.BasicAuth(); got == word {
			return false
		}
		w.Header().Set("WWW-Authenticate", `Basic realm="test"`)
		w.WriteHeader(http.StatusUnauthorized)
		return true
	})
	ref := f.ref(t, "demo:1")
	_, _, err := newClient(t, nil).Resolve(t.Context(), ref)
	wantCode(t, err, CodeRegistry, "401 Unauthorized (log in with docker login "+f.host())
	_, _, err = newClient(t, nil).Push(t.Context(), ref, demo)
	wantCode(t, err, CodeRegistry, "401 Unauthorized (log in with docker login "+f.host())
	docker(t, `{"auths":{"`+f.host()+`":{"auth":"`+base64.StdEncoding.EncodeToString([]byte("me:"+word))+`"}}}`)
	a := push(t, ref, demo)
	c := newClient(t, nil)
	if got, _, err := c.Resolve(t.Context(), ref); err != nil || got != a {
		t.Errorf("%+v, %v", got, err)
	}
	docker(t, `{"auths":{"registry.example.com":{"auth":"`+base64.StdEncoding.EncodeToString([]byte("me:"+word))+`"}}}`)
	_, _, err = newClient(t, nil).Resolve(t.Context(), ref)
	if err == nil || strings.Contains(err.Error(), word) {
		t.Errorf("the credentials of another registry were sent, or shown: %v", err)
	}
}

// Most registries want a token from a service of their own.
func TestTokens(t *testing.T) {
	f := newRegistry(t)
	f.answer(func(w http.ResponseWriter, r *http.Request) bool {
		_, word, known := r.BasicAuth()
		switch {
		case r.URL.Path == "/token" && known && word != "word":
			w.WriteHeader(http.StatusUnauthorized)
		case r.URL.Path == "/token":
			fmt.Fprintf(w, `{"token":"%s as %s"}`, r.URL.Query().Get("scope"), word)
		case strings.HasPrefix(r.Header.Get("Authorization"), "Bearer repository:demo:pull") && strings.HasSuffix(r.Header.Get("Authorization"), " as word"):
			return false
		default:
			w.Header().Set("WWW-Authenticate", `Bearer realm="`+f.URL+`/token",service="test"`)
			w.WriteHeader(http.StatusUnauthorized)
		}
		return true
	})
	ref := f.ref(t, "demo:1")
	_, _, err := newClient(t, nil).Resolve(t.Context(), ref)
	wantCode(t, err, CodeRegistry, "401 Unauthorized (log in with docker login")
	account := func(word string) {
		docker(t, `{"auths":{"`+f.host()+`":{"auth":"`+base64.StdEncoding.EncodeToString([]byte("me:"+word))+`"}}}`)
	}
	account("guess")
	_, _, err = newClient(t, nil).Resolve(t.Context(), ref)
	wantCode(t, err, CodeRegistry, "401 Unauthorized (log in with docker login")
	account("word")
	a := push(t, ref, demo)
	if got, _, err := newClient(t, nil).Resolve(t.Context(), ref); err != nil || got != a {
		t.Errorf("%+v, %v", got, err)
	}
}

func TestBrokenDockerConfiguration(t *testing.T) {
	docker(t, `{"auths":`)
	_, err := NewClient(nil)
	wantCode(t, err, CodeRegistry, "DOCKER_CONFIG")
}

// Neither a redirect nor the token service that a registry names leads out of
// TLS.
func TestNothingLeavesWithoutTLS(t *testing.T) {
	f := newRegistry(t)
	ref := f.ref(t, "demo:1")
	f.answer(func(w http.ResponseWriter, r *http.Request) bool {
		http.Redirect(w, r, "http://registry.invalid/elsewhere", http.StatusTemporaryRedirect)
		return true
	})
	_, _, err := newClient(t, nil).Resolve(t.Context(), ref)
	wantCode(t, err, CodeRegistry, errPlain.Error())
	_, _, err = newClient(t, nil).Push(t.Context(), ref, demo)
	wantCode(t, err, CodeRegistry, errPlain.Error())
	docker(t, `{"auths":{"`+f.host()+`":{"auth":"bWU6d29yZA=="}}}`)
	f.answer(func(w http.ResponseWriter, r *http.Request) bool {
		w.Header().Set("WWW-Authenticate", `Bearer realm="http://tokens.invalid/token",service="x"`)
		w.WriteHeader(http.StatusUnauthorized)
		return true
	})
	_, _, err = newClient(t, nil).Resolve(t.Context(), ref)
	wantCode(t, err, CodeRegistry, errPlain.Error())
}

// schemes notes the scheme of each request and sends none.
type schemes []string

func (s *schemes) RoundTrip(r *http.Request) (*http.Response, error) {
	*s = append(*s, r.URL.Scheme+" "+r.URL.Host)
	return nil, errors.New("not sent")
}

// Only this machine is spoken to without TLS.
func TestSchemes(t *testing.T) {
	for host, want := range map[string]string{"registry.example.com": "https", "10.0.0.1:5000": "https", "localhost:5000": "http", "[::1]:5000": "http"} {
		ref, err := Parse(prefix + host + "/demo:1")
		if err != nil {
			t.Fatal(err)
		}
		var sent schemes
		c := &Client{http: &auth.Client{Client: &http.Client{Transport: guard{&sent}}}, progress: io.Discard}
		_, _, err = c.Resolve(t.Context(), ref)
		wantCode(t, err, CodeRegistry, "not sent")
		_, _, err = c.Push(t.Context(), ref, demo)
		wantCode(t, err, CodeRegistry, "not sent")
		for _, s := range sent {
			if s != want+" "+host {
				t.Errorf("sent to %s, want %s", s, want)
			}
		}
		if len(sent) != 2 {
			t.Errorf("sent %v", sent)
		}
	}
}

func TestLoopback(t *testing.T) {
	for host, want := range map[string]bool{
		"localhost": true, "localhost:5000": true, "127.0.0.1:80": true, "127.9.9.9": true, "[::1]:5000": true, "[::1]": true,
		"registry.example.com": false, "localhost.example.com": false, "10.0.0.1:5000": false, "[::2]:1": false, "": false, "127.0.0.1.example.com:80": false,
	} {
		if got := loopback(host); got != want {
			t.Errorf("%q: %v, want %v", host, got, want)
		}
	}
}
