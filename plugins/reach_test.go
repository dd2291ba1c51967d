package plugins

import (
	"bytes"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/waybill-dev/waybill/pipeline"
	"github.com/waybill-dev/waybill/plugins/internal/capability"
	"github.com/waybill-dev/waybill/plugins/internal/host"
	"github.com/waybill-dev/waybill/plugins/internal/k1"
)

func TestReachGo(t *testing.T) {
	out := filepath.Join(t.TempDir(), "reach.wasm")
	env := []string{"GOOS=wasip1", "GOARCH=wasm"}
	if err := run("testdata/reach", env, "build", "-buildmode=c-shared", "-trimpath", "-buildvcs=false", "-o", out, "."); err != nil {
		t.Fatal(err)
	}
	wasm, err := os.ReadFile(out)
	if err != nil {
		t.Fatal(err)
	}
	checkReach(t, wasm)
}

func TestReachAssemblyScript(t *testing.T) {
	checkReach(t, buildAssemblyScript(t, assemblyscriptSDK+"/test/reach.ts"))
}

// checkReach holds an SDK's way to the capabilities against the real ones.
func checkReach(t *testing.T, wasm []byte) {
	t.Helper()
	long := bytes.Repeat([]byte("0123456789abcde\n"), 1000) // longer than an SDK's first buffer
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, _ := io.ReadAll(r.Body)
		w.Header().Set("X-Answer", r.Method+" "+r.Header.Get("X-Asked")+" "+r.Header.Get("Authorization"))
		w.WriteHeader(http.StatusTeapot)
		_, _ = w.Write(append(body, long...))
	}))
	defer server.Close()
	client, err := capability.NewHTTP(capability.HTTPConfig{Hosts: []string{strings.TrimPrefix(server.URL, "http://")}, Methods: []string{"POST"},
		Private: true, Credentials: map[string]capability.Credential{"api": {Header: "Authorization", Value: "Bearer t"}}})
	if err != nil {
		t.Fatal(err)
	}
	store, digest := storeOf(t, long)
	grants := capability.Set{HTTP: client, Blob: capability.NewBlob(store, 0), Secrets: map[string]string{"word": "größer"}, State: &capability.StateConfig{Size: 4096}}
	none := "sha256:" + strings.Repeat("0", 64)
	reached(t, wasm, grants, [][2]string{
		{"http " + server.URL + " body ", `418 x-answer=POST "yes" Bearer t ` + "body " + string(long)},
		{"http http://other.invalid/", "ERR not granted by the pipeline: "},
		{"http " + server.URL + "/a b", "418"},
		{"blob " + digest, string(long)},
		{"blob " + none, "ERR not found: "},
		{"secret word", "größer"},
		{"secret other", "ERR not found: "},
		{"get key", "ERR not found: "},
		{"put key value", ""},
		{"get key", "value"},
		{"put key " + strings.Repeat("x", 5000), "ERR over a limit of the pipeline: "},
		{"put key ", ""},
		{"get key", "ERR not found: "},
	})
	server.Close()
	reached(t, wasm, grants, [][2]string{{"http " + server.URL, "ERR "}})
	reached(t, wasm, capability.Set{}, nil)
}

// storeOf makes an object store with one content.
func storeOf(t *testing.T, content []byte) (dir, digest string) {
	t.Helper()
	dir, digest = t.TempDir(), string(pipeline.DigestOf(content))
	name := filepath.Join(dir, "blobs", "sha256", strings.TrimPrefix(digest, "sha256:"))
	if err := os.MkdirAll(filepath.Dir(name), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(name, content, 0o600); err != nil {
		t.Fatal(err)
	}
	return dir, digest
}

// reached sends orders, one record each, and compares the beginnings of the
// answers. Without orders every way must be shut. The interpreter spares the compiler.
func reached(t *testing.T, wasm []byte, grants capability.Set, orders [][2]string) {
	t.Helper()
	if orders == nil {
		for _, order := range []string{"http http://example.com/", "blob sha256:00", "secret word", "get key", "put key value"} {
			orders = append(orders, [2]string{order, "ERR not granted by the pipeline: "})
		}
	}
	k, err := host.New(t.Context(), host.Options{Name: "reach", Digest: pipeline.DigestOf(wasm), WASM: wasm, Config: []byte("{}"), Grants: grants,
		Log: slog.New(slog.DiscardHandler), Interpreter: true,
		Limits: host.Limits{Memory: 64 << 20, Timeout: time.Minute, Output: 1 << 20, Log: 1 << 10}})
	if err != nil {
		t.Fatal(err)
	}
	p := host.NewPool(k, 1)
	defer func() {
		p.Close()
		if err := k.Close(t.Context()); err != nil {
			t.Error(err)
		}
	}()
	for _, o := range orders {
		ops, err := p.Run(t.Context(), nil, 0, []k1.Record{{Value: []byte(o[0])}})
		if err != nil || len(ops) != 1 {
			t.Errorf("%.60s: %d operations, %v", o[0], len(ops), err)
			continue
		}
		got := string(ops[0].Value)
		if ops[0].Code == k1.Err {
			got = "ERR " + got
		}
		if !strings.HasPrefix(got, o[1]) || o[1] == "" && got != "" {
			t.Errorf("%.60s: got %.200q, want %.200q", o[0], got, o[1])
		}
	}
}
