package examples

import (
	"bytes"
	"context"
	"io"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/waybill-dev/waybill/runtime/cli"
	"github.com/waybill-dev/waybill/stages"
)

// sourcesPage returns the pipelines of docs/sources.md by their names.
func sourcesPage(t *testing.T) map[string]string {
	t.Helper()
	page, err := os.ReadFile("../docs/sources.md")
	if err != nil {
		t.Fatal(err)
	}
	out := map[string]string{}
	for _, m := range fence.FindAllStringSubmatch(string(page), -1) {
		if m[1] != "yaml" {
			continue
		}
		_, rest, _ := strings.Cut(m[2], "\nname: ")
		name, _, _ := strings.Cut(rest, "\n")
		out[name] = m[2]
	}
	return out
}

// runPipeline runs one to its end and returns what it printed.
func runPipeline(t *testing.T, dir, text, stdin string) string {
	t.Helper()
	var stdout, stderr bytes.Buffer
	path := filepath.Join(dir, "pipeline.yaml")
	if err := os.WriteFile(path, []byte(text), 0o644); err != nil {
		t.Fatal(err)
	}
	t.Setenv("WAYBILL_CACHE", t.TempDir())
	t.Setenv("WAYBILL_RUNTIME_DIR", t.TempDir())
	parts := cli.Parts{Defs: stages.All(), Queues: stages.Queues(), Objects: stages.Stores()}
	if code := cli.Run(context.Background(), parts, []string{"run", path, "--until-empty", "--quiet"}, strings.NewReader(stdin), &stdout, &stderr); code != 0 {
		t.Fatalf("exit %d: %s", code, &stderr)
	}
	return stdout.String()
}

func content(t *testing.T, elem ...string) string {
	t.Helper()
	text, err := os.ReadFile(filepath.Join(elem...))
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

// Every pipeline of docs/sources.md does what the page says.
func TestSourcesPage(t *testing.T) {
	page := sourcesPage(t)
	runs := map[string]func(*testing.T, string){"stdin": runStdin, "dir": runDir, "http": runHTTP, "cron": runCron}
	for name, run := range runs {
		if page[name] == "" {
			t.Errorf("docs/sources.md has no pipeline %q", name)
			continue
		}
		t.Run(name, func(t *testing.T) { run(t, page[name]) })
	}
	if len(page) != len(runs) {
		t.Errorf("docs/sources.md has %d pipelines, %d are run", len(page), len(runs))
	}
}

func runStdin(t *testing.T, text string) {
	if got := runPipeline(t, t.TempDir(), text, "one\nthree\n"); got != "{\"length\":3}\n{\"length\":5}\n" {
		t.Errorf("printed %s", got)
	}
}

func runDir(t *testing.T, text string) {
	dir := t.TempDir()
	if err := os.Mkdir(filepath.Join(dir, "inbox"), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(dir, "inbox", "a.txt"), []byte("hello"), 0o644); err != nil {
		t.Fatal(err)
	}
	for range 2 { // the second run finds nothing to do
		runPipeline(t, dir, text, "")
		if got := content(t, dir, "out.jsonl"); got != "{\"file\":\"a.txt\",\"text\":\"hello\"}\n" {
			t.Errorf("wrote %s", got)
		}
	}
	content(t, dir, "inbox", "done", "a.txt")
}

// runHTTP gives an item to a run that is then stopped, as by a signal; if it has
// not got round to it, the second run has.
func runHTTP(t *testing.T, text string) {
	const token = "only-for-this-test"
	t.Setenv("WORK_TOKEN", token)
	dir, addr := t.TempDir(), freeAddress(t)
	text = strings.ReplaceAll(text, "127.0.0.1:8080", addr)
	path := filepath.Join(dir, "pipeline.yaml")
	if err := os.WriteFile(path, []byte(text), 0o644); err != nil {
		t.Fatal(err)
	}
	ctx, stop := context.WithCancel(context.Background())
	ended := make(chan int, 1)
	var stderr bytes.Buffer
	go func() {
		parts := cli.Parts{Defs: stages.All(), Queues: stages.Queues(), Objects: stages.Stores()}
		ended <- cli.Run(ctx, parts, []string{"run", path, "--quiet"}, strings.NewReader(""), io.Discard, &stderr)
	}()
	status := 0
	for status == 0 && len(ended) == 0 { // until it listens
		status = postItem(t, "http://"+addr+"/work", token)
	}
	stop()
	if code := <-ended; status != http.StatusAccepted || code != 3 {
		t.Fatalf("answered %d, then exit %d: %s", status, code, &stderr)
	}
	runPipeline(t, dir, text, "")
	if got := content(t, dir, "out.jsonl"); got != "{\"double\":2}\n" {
		t.Errorf("wrote %s", got)
	}
}

func freeAddress(t *testing.T) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	return l.Addr().String()
}

// postItem returns the answer's status, or 0 if nobody listens.
func postItem(t *testing.T, url, token string) int {
	t.Helper()
	r, err := http.NewRequest(http.MethodPost, url, strings.NewReader(`{"body":{"n":1}}`))
	if err != nil {
		t.Fatal(err)
	}
	r.Header.Set("Authorization", "Bearer "+token)
	resp, err := http.DefaultClient.Do(r)
	if err != nil {
		return 0
	}
	defer resp.Body.Close()
	return resp.StatusCode
}

func runCron(t *testing.T, text string) {
	dir := t.TempDir()
	if err := os.Mkdir(filepath.Join(dir, "var"), 0o755); err != nil {
		t.Fatal(err)
	}
	// As if the last tick had been long ago: one item makes up for all.
	checkpoint := `{"waybill":"checkpoint/1","input":"cron:0 3 * * mon-fri?tz=Europe/Berlin","format":"live"}
{"did":"take","id":"start","data":{"time":"2026-03-02T12:00:00Z"}}
`
	if err := os.WriteFile(filepath.Join(dir, "var", "cron.checkpoint"), []byte(checkpoint), 0o644); err != nil {
		t.Fatal(err)
	}
	if got := runPipeline(t, dir, text, ""); strings.Count(got, "\n") < 1 || !strings.Contains(got, `"missed":`) || strings.Count(got, `"time"`) != 1 {
		t.Errorf("printed %s", got)
	}
	if got := runPipeline(t, dir, text, ""); strings.Contains(got, `"time"`) {
		t.Errorf("printed again %s", got)
	}
}
