package host

import (
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/waybill-dev/waybill/plugins/internal/capability"
)

// httpPlugin is http_headers.wasm of Extism's module: it takes a request and
// answers with the headers of the response, or none.
func httpPlugin(t *testing.T, c capability.HTTPConfig) *Kernel {
	t.Helper()
	wasm, err := os.ReadFile(filepath.Join(shippedDir(t), "http_headers.wasm"))
	if err != nil {
		t.Fatal(err)
	}
	client, err := capability.NewHTTP(c)
	if err != nil {
		t.Fatal(err)
	}
	o := extismOptions(wasm)
	o.Grants.HTTP = client
	return compile(t, o)
}

func TestExtismHTTP(t *testing.T) {
	var seen string
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		seen = r.Method + " " + r.URL.Path + " " + r.Header.Get("X-Asked")
		w.Header().Set("X-Answer", "42")
	}))
	t.Cleanup(server.Close)
	u, err := url.Parse(server.URL)
	if err != nil {
		t.Fatal(err)
	}
	request := func(to string) []byte {
		raw, err := json.Marshal(map[string]any{"url": to, "headers": map[string]string{"X-Asked": "yes"}})
		if err != nil {
			t.Fatal(err)
		}
		return raw
	}
	k := httpPlugin(t, capability.HTTPConfig{Hosts: []string{u.Host}, Private: true})
	out, err := k.RunExtism(t.Context(), request(server.URL+"/path"), 0, 0, nil)
	var headers map[string]string
	if err != nil || json.Unmarshal(out.Output, &headers) != nil || headers["x-answer"] != "42" || !strings.HasPrefix(seen, "GET /path") {
		t.Errorf("%q %v; the server saw %q", out.Output, err, seen)
	}

	seen = ""
	_, err = k.RunExtism(t.Context(), request("http://other.invalid/"), 0, 0, nil)
	if f := failure(t, err, CodeTrap); !strings.Contains(f.Cause, "not granted") {
		t.Errorf("got %v", f)
	}
	// The host is granted and its address is not: that is what Extism's own
	// client does not look at.
	k = httpPlugin(t, capability.HTTPConfig{Hosts: []string{u.Host}})
	_, err = k.RunExtism(t.Context(), request(server.URL), 0, 0, nil)
	if f := failure(t, err, CodeTrap); !strings.Contains(f.Cause, "http_request") || seen != "" {
		t.Errorf("got %v; the server saw %q", f, seen)
	}
}

func TestExtismRequest(t *testing.T) {
	tests := []struct{ head, want string }{
		{`{"url":"http://a.example/"}`, `{"url":"http://a.example/","method":"GET"}`},
		{`{"url":"http://a.example/","method":"post","headers":{"A":"b"}}`, `{"url":"http://a.example/","method":"POST","headers":{"A":"b"}}`},
		{`nonsense`, ""},
	}
	for _, tt := range tests {
		got, err := encodeExtismRequest([]byte(tt.head), []byte("body"))
		want := ""
		if tt.want != "" {
			want = string([]byte{byte(len(tt.want)), 0, 0, 0}) + tt.want + "body"
		}
		if string(got) != want || (err != nil) != (want == "") {
			t.Errorf("%s: %q %v", tt.head, got, err)
		}
	}
}
