package plugins

import (
	"bytes"
	"encoding/json"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/waybill-dev/waybill/pipeline"
	"github.com/waybill-dev/waybill/plugins/internal/capability"
	w "github.com/waybill-dev/waybill/plugins/internal/wasmtest"
)

// stageProblems loads a pipeline with one kernel stage, whose config is given in
// YAML behind `use:`.
func stageProblems(t *testing.T, wasm []byte, config string) pipeline.Problems {
	t.Helper()
	dir := t.TempDir()
	if err := os.WriteFile(filepath.Join(dir, "k.wasm"), wasm, 0o600); err != nil {
		t.Fatal(err)
	}
	src := "waybill: v1\nname: p\nstages:\n  - kernel:\n      use: ./k.wasm\n" + config
	_, problems := pipeline.Load(filepath.Join(dir, "p.yaml"), []byte(src), pipeline.NewSet(Def()))
	var rest pipeline.Problems
	for _, p := range problems {
		if p.Code != pipeline.CodeClaimFirst {
			rest = append(rest, p)
		}
	}
	return rest
}

const everyGrant = `      grant:
        - http:
            hosts: [api.example.com]
            credentials:
              api: { header: Authorization, value: "Bearer ${env:WAYBILL_TEST_TOKEN}" }
        - blob: { from: file:objects }
        - secret: { token: "${env:WAYBILL_TEST_TOKEN}" }
        - state: { size: 2KiB }
`

// grantConfig is what everyGrant decodes to.
func grantConfig(value string) Config {
	c := Defaults()
	for _, name := range []string{"http", "blob", "secret", "state"} {
		var g Grant
		switch to := g.target(name).(type) {
		case *HTTPGrant:
			to.Hosts = []string{"api.example.com"}
			to.Credentials = map[string]Credential{"api": {Header: "Authorization", Value: Secret("Bearer " + value)}}
		case *BlobGrant:
			to.From = "file:objects"
		case *SecretGrant:
			*to = SecretGrant{"token": Secret(value)}
		case *StateGrant:
			to.Size = 2 << 10
		}
		c.Grant = append(c.Grant, g)
	}
	return c
}

func TestGrants(t *testing.T) {
	c := grantConfig("hunter2")
	if found := c.grantProblems(); len(found) > 0 {
		t.Fatal(found)
	}
	dir := t.TempDir()
	set, err := c.grants(dir)
	if err != nil {
		t.Fatal(err)
	}
	defer set.Close()
	for _, name := range capability.Names() {
		if !set.Has(name) {
			t.Errorf("%s is not granted", name)
		}
	}
	if got, err := set.Secret("token"); string(got) != "hunter2" || err != nil {
		t.Errorf("%q, %v", got, err)
	}
	if set.State.Size != 2<<10 {
		t.Errorf("%+v", set.State)
	}
	content := []byte("content")
	d := pipeline.DigestOf(content)
	path := filepath.Join(dir, "objects", "blobs", "sha256", d.Hex())
	if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(path, content, 0o600); err != nil {
		t.Fatal(err)
	}
	if got, err := set.Blob.Get(string(d)); err != nil || !bytes.Equal(got, content) {
		t.Errorf("%q, %v: the store is not found relative to the pipeline file", got, err)
	}
	none, err := Defaults().grants(dir)
	if err != nil || none.Has("http") || none.Has("blob") || none.Has("secret") || none.Has("state") {
		t.Errorf("a configuration without grants grants %+v, %v", none, err)
	}
}

func TestGrantsFail(t *testing.T) {
	c := Defaults()
	c.Grant = []Grant{{State: new(StateGrant)}, {Blob: &BlobGrant{From: "https://example.com"}}}
	if _, err := c.grants("."); err == nil || !strings.Contains(err.Error(), "grant[1]") {
		t.Errorf("%v", err)
	}
	c.Grant = []Grant{{}, {Secret: SecretGrant{"a b": "x"}}, {HTTP: &HTTPGrant{Hosts: []string{"a.example"}, Credentials: map[string]Credential{"a.b": {Header: "X", Value: "v"}}}}}
	var got []string
	for _, p := range c.grantProblems() {
		got = append(got, p.path+" "+p.code)
	}
	if want := "[grant[0] bad-grant grant[1].secret bad-grant grant[2].http.credentials bad-grant]"; fmt.Sprint(got) != want {
		t.Errorf("got %s, want %s", got, want)
	}
}

// TestSecretsStayHidden: a secret shows in nothing that is printed, logged,
// encoded or reported.
func TestSecretsStayHidden(t *testing.T) {
	const value = "hunter2\x07" // the control character makes it a bad credential
	t.Setenv("WAYBILL_TEST_TOKEN", value)
	c := grantConfig(value)
	var log bytes.Buffer
	slog.New(slog.NewJSONHandler(&log, nil)).Info("config", "config", c, "grant", c.Grant[2], "value", c.Grant[2].Secret["token"])
	encoded, err := json.Marshal(c)
	if err != nil {
		t.Fatal(err)
	}
	secret := c.Grant[2].Secret["token"]
	_, err = c.grants(".")
	if err == nil {
		t.Error("a credential with a control character is granted")
	}
	problems := stageProblems(t, w.Guest{}.Bytes(), everyGrant)
	if len(problems) != 1 || problems[0].Code != codeBadGrant {
		t.Errorf("%v", problems)
	}
	for where, text := range map[string]string{
		"log": log.String(), "json": string(encoded), "%v": fmt.Sprintf("%v %+v %s %q", c.Grant[2], c.Grant[2], secret, secret), "%#v": fmt.Sprintf("%#v", secret),
		"error": fmt.Sprint(err), "problems": problems.Error(), "own problems": fmt.Sprint(c.grantProblems()),
	} {
		if strings.Contains(text, "hunter2") {
			t.Errorf("%s shows the secret: %s", where, text)
		}
	}
	if secret.Reveal() != value {
		t.Errorf("Reveal returns %q", secret.Reveal())
	}
}

func TestWants(t *testing.T) {
	imports := w.Guest{Import: func(m *w.Module) {
		m.Import("kernel/1", "state_put", []byte{w.I32, w.I32, w.I32, w.I32}, []byte{w.I64})
		m.Import("kernel/1", "blob", []byte{w.I32, w.I32, w.I32, w.I32}, []byte{w.I64})
		m.Import("kernel/1", "log", []byte{w.I32, w.I32, w.I32}, nil)
		m.Import("kernel/1", "rest", []byte{w.I32, w.I32, w.I32}, []byte{w.I64})
	}}.Bytes()
	wasm := attach(t, imports, `{"name":"k","version":"1.0.0","wants":["blob","secret"]}`)
	for _, tt := range []struct {
		name, config string
		want         []string
	}{
		{"nothing granted", "", []string{"the kernel wants blob (its manifest says so)", "the kernel wants secret (its manifest says so)", "the kernel wants state (it imports kernel/1.state_put)"}},
		{"some granted", "      grant: [{ state: {} }, { blob: { from: file:x } }]\n", []string{"the kernel wants secret"}},
		{"more than it wants", everyGrant, nil},
	} {
		t.Setenv("WAYBILL_TEST_TOKEN", "hunter2")
		problems := stageProblems(t, wasm, tt.config)
		if len(problems) != len(tt.want) {
			t.Errorf("%s: %v", tt.name, problems)
			continue
		}
		for i, p := range problems {
			if p.Code != codeMissingGrant || !strings.Contains(p.Message, tt.want[i]) || !strings.Contains(p.Hint, "add - ") {
				t.Errorf("%s: got %v, want %s", tt.name, p, tt.want[i])
			}
		}
	}
}
