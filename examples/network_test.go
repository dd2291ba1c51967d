package examples

import (
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/waybill-dev/waybill/cdp/cdptest"
	"github.com/waybill-dev/waybill/pipeline"
	"github.com/waybill-dev/waybill/stages"
)

// yamlOf returns the YAML blocks of a page.
func yamlOf(t *testing.T, page string) (out []string) {
	t.Helper()
	for _, m := range fence.FindAllStringSubmatch(content(t, "..", "docs", page), -1) {
		if m[1] == "yaml" {
			out = append(out, m[2])
		}
	}
	return out
}

// Every fragment of docs/network.md is what the stage takes.
func TestNetworkPage(t *testing.T) {
	fragments := yamlOf(t, "network.md")
	if len(fragments) < 4 {
		t.Fatalf("%d fragments", len(fragments))
	}
	for _, f := range fragments {
		checkExecute(t, "steps: [ { navigate: x } ]\n"+f)
	}
}

// checkExecute loads a config of the stage execute.
func checkExecute(t *testing.T, config string) {
	t.Helper()
	text := "waybill: v1\nname: page\nstages:\n  - claim: { from: stdin }\n  - execute:\n"
	for line := range strings.Lines(config) {
		text += "      " + line
	}
	if _, problems := pipeline.Load("page.md", []byte(text), pipeline.NewSet(stages.All()...)); len(problems) > 0 {
		t.Errorf("%s\n%v", config, problems)
	}
}

// The pipelines of docs/capture.md: what the first one captures, the second one
// replays when the site is gone. Between them stands a fragment.
func TestCapturePage(t *testing.T) {
	cdptest.Binary(t)
	pipelines := yamlOf(t, "capture.md")
	if len(pipelines) != 3 {
		t.Fatalf("%d pipelines", len(pipelines))
	}
	checkExecute(t, pipelines[1])
	srv := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "text/html")
		fmt.Fprint(w, "<title>Shop</title><h1>Sextants</h1>")
	}))
	defer srv.Close()
	input := fmt.Sprintf("{\"body\":{\"url\":%q}}\n", strings.Replace(srv.URL, "127.0.0.1", "shop.localhost", 1))
	dir := t.TempDir()
	if err := os.Chmod(filepath.Dir(dir), 0o711); err != nil { // Chrome's user passes it
		t.Fatal(err)
	}
	var item struct{ Outputs []pipeline.Output }
	if err := json.Unmarshal([]byte(runPipeline(t, dir, pipelines[0], input)), &item); err != nil {
		t.Fatal(err)
	}
	names := map[string]pipeline.Output{}
	for _, o := range item.Outputs {
		names[o.Name] = o
	}
	if len(names) != 4 || names["capture.wacz"].MediaType != "application/wacz" || names["console.json"].Size == 0 {
		t.Fatalf("outputs: %+v", item.Outputs)
	}
	hex := strings.TrimPrefix(string(names["capture.har"].Digest), "sha256:")
	found, err := filepath.Glob(filepath.Join(dir, "var", "objects", "blobs", "sha256", hex))
	if err != nil || len(found) != 1 {
		t.Fatalf("the capture is at %v, %v", found, err)
	}
	if err := os.WriteFile(filepath.Join(dir, "capture.har"), []byte(content(t, found[0])), 0o600); err != nil {
		t.Fatal(err)
	}
	srv.CloseClientConnections()
	srv.Close()
	if got := runPipeline(t, dir, pipelines[2], input); !strings.Contains(got, `"title":"Sextants"`) {
		t.Errorf("the replay gave %s", got)
	}
}
