package main

import (
	"bytes"
	"context"
	"encoding/hex"
	"encoding/json"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	trace "go.opentelemetry.io/proto/otlp/trace/v1"

	"github.com/waybill-dev/waybill/examples/capture/site"
	"github.com/waybill-dev/waybill/internal/otlptest"
	"github.com/waybill-dev/waybill/pipeline"
)

// stage copies the example into a folder of the test's own and builds what it
// needs, so that a test never touches the var folder of the tree.
func stage(t *testing.T) (bin, dir string) {
	t.Helper()
	dir = t.TempDir()
	if out, err := exec.Command("make", "-s", "-C", "../..", "kernels").CombinedOutput(); err != nil {
		t.Fatalf("make kernels: %v\n%s", err, out)
	}
	for _, file := range []string{"pipeline.yaml", "site/password.txt", "kernels/readable.wasm"} {
		raw, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		to := filepath.Join(dir, file)
		if err := os.MkdirAll(filepath.Dir(to), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(to, raw, 0o644); err != nil {
			t.Fatal(err)
		}
	}
	bin = filepath.Join(t.TempDir(), "waybill")
	if out, err := exec.Command("go", "build", "-o", bin, "../../cmd/waybill").CombinedOutput(); err != nil {
		t.Fatalf("go build: %v\n%s", err, out)
	}
	return bin, dir
}

// TestCapture runs the whole example as make demo does, traced, and holds every
// page to its expected result and its expected trace.
func TestCapture(t *testing.T) {
	sink := otlptest.Start(t)
	t.Setenv("OTEL_EXPORTER_OTLP_ENDPOINT", sink.URL)
	bin, dir := stage(t)
	var out bytes.Buffer
	if err := run(context.Background(), &out, bin, dir, false); err != nil {
		t.Fatalf("%v\n%s", err, out.String())
	}
	checkReadme(t, strings.ReplaceAll(out.String(), dir, "examples/capture"))
	want := expectedPages(t)
	checkReceipts(t, bin, dir, "sqlite:var/queue.db", want)
	checkTraces(t, sink.Spans(), want)
}

// checkReadme holds the README's picture of the demo to what the demo prints,
// figures aside.
func checkReadme(t *testing.T, out string) {
	t.Helper()
	readme, err := os.ReadFile("../../README.md")
	if err != nil {
		t.Fatal(err)
	}
	_, rest, _ := strings.Cut(string(readme), "<!-- demo -->\n```text\n")
	shown, _, ok := strings.Cut(rest, "```")
	if !ok {
		t.Fatal("the README has no demo block")
	}
	if diff := cmp.Diff(shape(out), shape(shown)); diff != "" {
		t.Errorf("the README shows another demo (-real +README):\n%s\nThe real one:\n%s", diff, out)
	}
}

var (
	figure = regexp.MustCompile(`[0-9][0-9.]*(ms|µs|s)?`)
	spaces = regexp.MustCompile(` +`)
)

func shape(text string) []string {
	var lines []string
	for _, l := range strings.Split(strings.TrimSpace(text), "\n") {
		lines = append(lines, strings.TrimSpace(spaces.ReplaceAllString(figure.ReplaceAllString(l, "N"), " ")))
	}
	return lines
}

// expectation is what a page of the example must end with.
type expectation struct {
	outputs []string // subjects of its receipt
	stages  []string // spans of its trace
}

func expectedPages(t *testing.T) map[string]expectation {
	t.Helper()
	f, err := serve()
	if err != nil {
		t.Fatal(err)
	}
	f.close()
	status := map[string]int{}
	for _, p := range site.Pages() {
		status[p.Name] = p.Status
	}
	want := map[string]expectation{}
	for _, p := range f.pages {
		e := expectation{outputs: []string{"body", "page.html", "page.png"}, stages: []string{"capture"}}
		if p.kind == "login" {
			e.stages = []string{"sign-in"}
		}
		if s := status[p.id]; s == 0 || s == http.StatusOK {
			e.outputs = append(e.outputs, "readable.json")
			e.stages = append(e.stages, "kernel")
		}
		e.stages = append(e.stages, "store", "witness")
		want[p.id] = e
	}
	if len(want) < 9 {
		t.Fatalf("the example has %d pages, want at least 9", len(want))
	}
	return want
}

// checkReceipts asks the queue for each page's statement and reads its subjects.
func checkReceipts(t *testing.T, bin, dir, queue string, want map[string]expectation) {
	t.Helper()
	waybill := func(v any, args ...string) {
		t.Helper()
		cmd := exec.Command(bin, args...)
		cmd.Dir = dir
		out, err := cmd.Output()
		if err != nil {
			t.Fatalf("waybill %v: %v", args, err)
		}
		if err := json.Unmarshal(out, v); err != nil {
			t.Fatalf("waybill %v: %v: %s", args, err, out)
		}
	}
	for id, e := range want {
		var entry pipeline.Entry
		waybill(&entry, "queue", "show", "--from", queue, "--queue", "pages", "--json", id)
		if entry.Result != pipeline.Succeeded {
			t.Errorf("%s: result %q, want succeeded", id, entry.Result)
			continue
		}
		var statement struct {
			Subject []struct{ Name string }
		}
		waybill(&statement, "blob", "get", "--store", "file:var/log/objects", string(entry.Digest))
		var got []string
		for _, s := range statement.Subject {
			got = append(got, s.Name)
		}
		if diff := cmp.Diff(e.outputs, got); diff != "" {
			t.Errorf("%s: subjects of its receipt (-want +got):\n%s", id, diff)
		}
	}
}

// checkTraces wants one trace per page (created, processed, its stages) and one
// for the run, linked both ways.
func checkTraces(t *testing.T, spans []otlptest.Span, want map[string]expectation) {
	t.Helper()
	children := map[string][]otlptest.Span{}
	byID := map[string]otlptest.Span{}
	for _, s := range spans {
		children[s.ParentID] = append(children[s.ParentID], s)
		byID[s.SpanID] = s
	}
	var run otlptest.Span
	processed, linked := map[string]otlptest.Span{}, map[string]int{}
	for _, s := range spans {
		switch s.Kind {
		case trace.Span_SPAN_KIND_SERVER:
			run = s
		case trace.Span_SPAN_KIND_CLIENT:
			for _, l := range s.Links {
				linked[hex.EncodeToString(l.SpanId)]++
			}
		case trace.Span_SPAN_KIND_CONSUMER:
			processed[s.Attribute("messaging.message.id")] = s
		}
	}
	if run.Name != "RUN capture" {
		t.Fatalf("the run's span is %q, want RUN capture", run.Name)
	}
	if len(processed) != len(want) {
		t.Errorf("%d pages have a trace, want %d", len(processed), len(want))
	}
	for id, e := range want {
		p, created := processed[id], byID[processed[id].ParentID]
		if created.Name != "send pages" || created.TraceID != p.TraceID || created.ParentID != "" {
			t.Errorf("%s: its process span is not a child of its creation: %+v", id, created.Span)
			continue
		}
		if linked[created.SpanID] != 1 {
			t.Errorf("%s: %d claims link to it, want 1", id, linked[created.SpanID])
		}
		if len(p.Links) != 1 || hex.EncodeToString(p.Links[0].TraceId) != run.TraceID {
			t.Errorf("%s: its process span does not link to the run", id)
		}
		var stages []string
		for _, s := range children[p.SpanID] {
			stages = append(stages, s.Name)
			if s.Status.GetCode() == trace.Status_STATUS_CODE_ERROR {
				t.Errorf("%s: stage %s has status %v", id, s.Name, s.Status)
			}
		}
		if diff := cmp.Diff(e.stages, stages); diff != "" {
			t.Errorf("%s: its stages' spans (-want +got):\n%s", id, diff)
		}
	}
}
