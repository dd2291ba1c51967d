package oci

import (
	"encoding/base64"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
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
	wantCode(t, err, CodeRegistry, "")
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
