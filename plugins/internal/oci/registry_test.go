package oci

import (
	"bytes"
	"io"
	"log"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"

	"github.com/google/go-containerregistry/pkg/registry"

	"github.com/waybill-dev/waybill/pipeline"
)

// fakeRegistry is a registry on a loopback address whose answers a test may
// change on their way.
type fakeRegistry struct {
	*httptest.Server
	mu        sync.Mutex
	asked     []string                                          // method and path of each request
	tamper    func(path string, body []byte) []byte             // nil: as they are
	intercept func(w http.ResponseWriter, r *http.Request) bool // true: answered
}

func newRegistry(t *testing.T) *fakeRegistry {
	t.Helper()
	t.Setenv("DOCKER_CONFIG", t.TempDir())
	f := new(fakeRegistry)
	inner := registry.New(registry.Logger(log.New(io.Discard, "", 0)))
	f.Server = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		f.mu.Lock()
		f.asked = append(f.asked, r.Method+" "+r.URL.Path)
		tamper, intercept := f.tamper, f.intercept
		f.mu.Unlock()
		if intercept != nil && intercept(w, r) {
			return
		}
		if tamper == nil || r.Method != http.MethodGet {
			inner.ServeHTTP(w, r)
			return
		}
		answer := httptest.NewRecorder()
		inner.ServeHTTP(answer, r)
		w.Header().Set("Content-Type", answer.Header().Get("Content-Type"))
		w.WriteHeader(answer.Code)
		_, _ = w.Write(tamper(r.URL.Path, answer.Body.Bytes()))
	}))
	t.Cleanup(f.Close)
	return f
}

// answer lets a function answer those requests for which it returns true.
func (f *fakeRegistry) answer(intercept func(w http.ResponseWriter, r *http.Request) bool) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.intercept = intercept
}

// host is the registry's part of a reference.
func (f *fakeRegistry) host() string { return strings.TrimPrefix(f.URL, "http://") }

// ref is a reference in the registry.
func (f *fakeRegistry) ref(t *testing.T, rest string) Reference {
	t.Helper()
	ref, err := Parse(prefix + f.host() + "/" + rest)
	if err != nil {
		t.Fatal(err)
	}
	return ref
}

// requests counts those that begin so, and forgets all.
func (f *fakeRegistry) requests(start string) (n int) {
	f.mu.Lock()
	defer f.mu.Unlock()
	for _, a := range f.asked {
		if strings.HasPrefix(a, start) {
			n++
		}
	}
	f.asked = nil
	return n
}

func newClient(t *testing.T, progress io.Writer) *Client {
	t.Helper()
	c, err := NewClient(progress)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(c.Close)
	return c
}

func push(t *testing.T, ref Reference, m Module) Artifact {
	t.Helper()
	a, _, err := newClient(t, nil).Push(t.Context(), ref, m)
	if err != nil {
		t.Fatal(err)
	}
	return a
}

func wantCode(t *testing.T, err error, code, text string) {
	t.Helper()
	if pipeline.CodeOf(err) != code || err == nil || !strings.Contains(err.Error(), text) {
		t.Errorf("got code %q of %v, want %q and %q", pipeline.CodeOf(err), err, code, text)
	}
}

var demo = Module{WASM: []byte("\x00asm\x01\x00\x00\x00"), Name: "demo", Version: "1.2.0", Description: "a test"}

func TestPushAndPull(t *testing.T) {
	f := newRegistry(t)
	ref := f.ref(t, "kernels/demo:1.2")
	pushed := push(t, ref, demo)
	if pushed.Digest != pipeline.DigestOf(demo.WASM) || pushed.Size != int64(len(demo.WASM)) || pushed.Title != "demo" || pushed.Version != "1.2.0" {
		t.Errorf("pushed %+v", pushed)
	}
	c := newClient(t, nil)
	for _, r := range []Reference{ref, ref.At(pushed.Manifest)} {
		a, raw, err := c.Resolve(t.Context(), r)
		if err != nil || a != pushed || pipeline.DigestOf(raw) != pushed.Manifest {
			t.Fatalf("%s is %+v, %v; pushed %+v", r, a, err, pushed)
		}
		wasm, err := c.Fetch(t.Context(), r, a)
		if err != nil || !bytes.Equal(wasm, demo.WASM) {
			t.Errorf("%s: %q, %v", r, wasm, err)
		}
	}
}

// A module pushed twice is one artifact, and is not sent twice.
func TestPushTwice(t *testing.T) {
	f := newRegistry(t)
	first := push(t, f.ref(t, "demo:1"), demo)
	if n := f.requests("POST"); n != 2 {
		t.Errorf("%d uploads, want the layer and the configuration", n)
	}
	if again := push(t, f.ref(t, "demo:2"), demo); again != first {
		t.Errorf("%+v, first %+v", again, first)
	}
	if n := f.requests("POST"); n != 0 {
		t.Errorf("%d uploads of what is there", n)
	}
}

func TestWhatARegistrySendsIsChecked(t *testing.T) {
	f := newRegistry(t)
	ref := f.ref(t, "demo:1")
	a := push(t, ref, demo)
	c := newClient(t, nil)
	change := func(kind string, to func([]byte) []byte) {
		f.mu.Lock()
		defer f.mu.Unlock()
		f.tamper = func(path string, body []byte) []byte {
			if strings.Contains(path, kind) {
				return to(bytes.Clone(body))
			}
			return body
		}
	}
	for name, to := range map[string]func([]byte) []byte{
		"changed": func(b []byte) []byte { b[len(b)-1] ^= 1; return b },
		"longer":  func(b []byte) []byte { return append(b, ' ') },
		"shorter": func(b []byte) []byte { return b[:len(b)-1] },
		"nothing": func(b []byte) []byte { return nil },
	} {
		change("/blobs/", to)
		_, err := c.Fetch(t.Context(), ref, a)
		wantCode(t, err, CodeDigest, "a module with the digest")
		change("/manifests/", to)
		if _, _, err = c.Resolve(t.Context(), ref.At(a.Manifest)); err == nil {
			t.Errorf("%s: a manifest went through", name)
		}
		wantCode(t, err, CodeDigest, "a manifest with the digest")
	}
	change("/blobs/", func([]byte) []byte { return make([]byte, 1<<20) })
	_, err := c.Fetch(t.Context(), ref, a)
	wantCode(t, err, CodeDigest, "")
	change("/manifests/", func([]byte) []byte { return bytes.Repeat([]byte(" "), maxManifest+2) })
	_, _, err = c.Resolve(t.Context(), ref)
	wantCode(t, err, CodeArtifact, "not JSON")
}

func TestRegistryRefuses(t *testing.T) {
	f := newRegistry(t)
	c := newClient(t, nil)
	_, _, err := c.Resolve(t.Context(), f.ref(t, "demo:none"))
	wantCode(t, err, CodeMissing, "no such artifact")
	push(t, f.ref(t, "demo:1"), demo)
	_, err = c.Fetch(t.Context(), f.ref(t, "demo:1"), Artifact{Digest: pipeline.DigestOf(nil)})
	wantCode(t, err, CodeMissing, "no such artifact")
	_, err = c.Fetch(t.Context(), f.ref(t, "demo:1"), Artifact{Size: MaxModule + 1})
	wantCode(t, err, CodeArtifact, "the limit is")
	for status, text := range map[int]string{http.StatusForbidden: "docker login 127.0.0.1", http.StatusTeapot: "418 I'm a teapot"} {
		f.answer(func(w http.ResponseWriter, _ *http.Request) bool { w.WriteHeader(status); return true })
		_, _, err = c.Resolve(t.Context(), f.ref(t, "demo:1"))
		wantCode(t, err, CodeRegistry, text)
		_, _, err = c.Push(t.Context(), f.ref(t, "demo:1"), demo)
		wantCode(t, err, CodeRegistry, text)
	}
	f.Close()
	_, _, err = c.Resolve(t.Context(), f.ref(t, "demo:1"))
	wantCode(t, err, CodeRegistry, "did not answer")
	_, _, err = c.Push(t.Context(), f.ref(t, "demo:1"), demo)
	wantCode(t, err, CodeRegistry, "did not answer")
}

// What a registry says about its refusal is told.
func TestPushDenied(t *testing.T) {
	f := newRegistry(t)
	f.answer(func(w http.ResponseWriter, r *http.Request) bool {
		if r.Method != http.MethodPost {
			return false
		}
		w.Header().Set("Content-Type", "application/json")
		w.WriteHeader(http.StatusForbidden)
		_, _ = io.WriteString(w, `{"errors":[{"code":"DENIED","message":"the quota is used up"}]}`)
		return true
	})
	_, _, err := newClient(t, nil).Push(t.Context(), f.ref(t, "demo:1"), demo)
	wantCode(t, err, CodeRegistry, "403 Forbidden: denied: the quota is used up (log in with docker login 127.0.0.1")
}

func TestPushWantsATag(t *testing.T) {
	f := newRegistry(t)
	_, _, err := newClient(t, nil).Push(t.Context(), f.ref(t, "demo@"+string(pipeline.DigestOf(nil))), demo)
	wantCode(t, err, CodeReference, "name a tag")
	_, _, err = newClient(t, nil).Push(t.Context(), f.ref(t, "demo:1"), Module{WASM: make([]byte, MaxModule+1)})
	wantCode(t, err, CodeArtifact, "the limit is")
	if n := f.requests(""); n != 0 {
		t.Errorf("%d requests", n)
	}
}

func TestProgress(t *testing.T) {
	f := newRegistry(t)
	ref := f.ref(t, "big:1")
	big := Module{WASM: make([]byte, 5<<20)}
	var told strings.Builder
	c := newClient(t, &told)
	a, _, err := c.Push(t.Context(), ref, big)
	if err != nil {
		t.Fatal(err)
	}
	if !strings.Contains(told.String(), "pushing "+ref.String()+": ") || !strings.Contains(told.String(), "of 5.0 MiB\n") {
		t.Errorf("told %q", told.String())
	}
	told.Reset()
	if _, err := c.Fetch(t.Context(), ref, a); err != nil {
		t.Fatal(err)
	}
	if n := strings.Count(told.String(), "pulling "); n != 2 {
		t.Errorf("%d lines, want one for each 2 MiB: %q", n, told.String())
	}
}
