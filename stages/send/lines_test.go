package send

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/waybill-dev/waybill/pipeline"
)

// toFile starts a stage that writes to path.
func toFile(t *testing.T, path string) *lines {
	t.Helper()
	cfg := defaults()
	cfg.To = "file:" + path
	s, err := New(context.Background(), cfg, pipeline.Env{})
	if err != nil {
		t.Fatal(err)
	}
	l := s.(*lines)
	if err := l.Start(context.Background()); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { l.Close() })
	return l
}

func contents(t *testing.T, path string) string {
	t.Helper()
	b, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return string(b)
}

func jsonItem(id string, body any) *pipeline.Item {
	return &pipeline.Item{ID: id, Body: pipeline.JSONBody(body)}
}

func TestEncode(t *testing.T) {
	full := jsonItem("1", map[string]any{"b": "<x>", "a": 1})
	full.Key, full.Meta = "k", map[string]string{"m": "v"}
	full.Outputs = []pipeline.Output{{Name: "body", MediaType: "text/html", Digest: "sha256:00", Size: 1, Copies: 2}}
	full.Receipt = "sha256:11"
	tests := map[string]struct {
		it   *pipeline.Item
		what string
		want string
	}{
		"item": {full, WhatItem, `{"id":"1","key":"k","body":{"a":1,"b":"<x>"},"meta":{"m":"v"},` +
			`"outputs":[{"name":"body","mediaType":"text/html","digest":"sha256:00","size":1,"copies":2}],"receipt":"sha256:11"}`},
		"body":          {full, WhatBody, `{"a":1,"b":"<x>"}`},
		"pretty JSON":   {&pipeline.Item{ID: "2", Body: pipeline.RawBody([]byte("{\n \"a\": 1\n}"), "")}, WhatBody, `{"a":1}`},
		"text":          {&pipeline.Item{ID: "3", Body: pipeline.RawBody([]byte("two\nlines"), pipeline.MediaText)}, WhatItem, `{"id":"3","body":"two\nlines"}`},
		"binary":        {&pipeline.Item{ID: "4", Body: pipeline.RawBody([]byte{0xff, 0}, "")}, WhatItem, `{"id":"4","body":null,"bodyBase64":"/wA="}`},
		"empty":         {&pipeline.Item{ID: "5"}, WhatItem, `{"id":"5","body":null}`},
		"JSON null":     {&pipeline.Item{ID: "6", Body: pipeline.JSONBody(nil)}, WhatBody, `null`},
		"html as text":  {&pipeline.Item{ID: "7", Body: pipeline.RawBody([]byte("<p>"), "text/html")}, WhatBody, `"<p>"`},
		"large integer": {&pipeline.Item{ID: "8", Body: pipeline.RawBody([]byte("12345678901234567890"), pipeline.MediaJSON)}, WhatBody, `12345678901234567890`},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			got, err := encode(tt.it, tt.what)
			if err != nil {
				t.Fatal(err)
			}
			if d := cmp.Diff(tt.want, string(got)); d != "" {
				t.Error(d)
			}
		})
	}
	if _, err := encode(tests["binary"].it, WhatBody); pipeline.KindOf(err) != pipeline.Permanent {
		t.Errorf("binary body as a line: error %v, want a permanent one", err)
	}
}

func TestFileBatch(t *testing.T) {
	path := filepath.Join(t.TempDir(), "out.jsonl")
	l := toFile(t, path)
	bad := &pipeline.Item{ID: "bad", Body: pipeline.JSONBody(func() {})}
	errs := l.ProcessBatch(context.Background(), []*pipeline.Item{jsonItem("1", 1), bad, jsonItem("2", 2)})
	if len(errs) != 3 || errs[0] != nil || errs[2] != nil || pipeline.KindOf(errs[1]) != pipeline.Permanent || errs[1] == nil {
		t.Fatalf("errors %v, want the second only", errs)
	}
	if want, got := "{\"id\":\"1\",\"body\":1}\n{\"id\":\"2\",\"body\":2}\n", contents(t, path); got != want {
		t.Errorf("file has %q, want %q", got, want)
	}
}

// Half a line that a crash left is cut away; what others wrote is not touched.
func TestEndOfFile(t *testing.T) {
	for name, tt := range map[string]struct{ before, want string }{
		"torn":                {"{\"id\":\"0\"}\n{\"id\":", "{\"id\":\"0\"}\n"},
		"of another tool":     {"{\"a\":1}\n{\"last\":\"no newline\"}", "{\"a\":1}\n{\"last\":\"no newline\"}\n"},
		"text of another one": {"first\nno newline", "first\nno newline\n"},
	} {
		t.Run(name, func(t *testing.T) {
			path := filepath.Join(t.TempDir(), "out.jsonl")
			if err := os.WriteFile(path, []byte(tt.before), 0o644); err != nil {
				t.Fatal(err)
			}
			l := toFile(t, path)
			if got := contents(t, path); got != tt.before {
				t.Fatalf("Start alone made the file %q", got)
			}
			if err := l.Process(context.Background(), jsonItem("n", 1)); err != nil {
				t.Fatal(err)
			}
			if got, want := contents(t, path), tt.want+"{\"id\":\"n\",\"body\":1}\n"; got != want {
				t.Fatalf("the file has %q, want %q", got, want)
			}
			// Another process may be killed in the middle of a line while we run.
			if err := os.WriteFile(path, []byte("{}\n{\"to"), 0o644); err != nil {
				t.Fatal(err)
			}
			if err := l.Process(context.Background(), jsonItem("n", 1)); err != nil {
				t.Fatal(err)
			}
			if got, want := contents(t, path), "{}\n{\"id\":\"n\",\"body\":1}\n"; got != want {
				t.Errorf("file has %q, want %q", got, want)
			}
		})
	}
}

func TestTwoWriters(t *testing.T) {
	path := filepath.Join(t.TempDir(), "out.jsonl")
	var wg sync.WaitGroup
	for w := range 2 {
		l := toFile(t, path)
		wg.Go(func() {
			for i := range 50 {
				if err := l.Process(context.Background(), jsonItem(fmt.Sprintf("%d-%d", w, i), strings.Repeat("y", 5000))); err != nil {
					t.Error(err)
				}
			}
		})
	}
	wg.Wait()
	got := strings.Split(strings.TrimSuffix(contents(t, path), "\n"), "\n")
	if len(got) != 100 {
		t.Fatalf("%d lines, want 100", len(got))
	}
	for _, line := range got {
		if !strings.HasPrefix(line, `{"id":"`) || !strings.HasSuffix(line, `"}`) {
			t.Fatalf("a mixed-up line: %.60q", line)
		}
	}
}

func TestFullDisk(t *testing.T) {
	l := toFile(t, "/dev/full")
	err := l.Process(context.Background(), jsonItem("1", 1))
	if pipeline.CodeOf(err) != "disk-full" || pipeline.KindOf(err) != pipeline.Unavailable {
		t.Fatalf("error %v (%s, %s), want disk-full and no attempt lost", err, pipeline.CodeOf(err), pipeline.KindOf(err))
	}
}

func TestUnwritable(t *testing.T) {
	s, err := New(context.Background(), Config{To: "file:no/such/dir/x.jsonl", What: WhatItem}, pipeline.Env{Dir: t.TempDir()})
	if err != nil {
		t.Fatal(err)
	}
	err = s.(*lines).Start(context.Background())
	if !errors.Is(err, os.ErrNotExist) || pipeline.KindOf(err) != pipeline.Permanent {
		t.Fatalf("Start: %v, want a permanent error that names the file", err)
	}
	if err := s.(*lines).Close(); err != nil {
		t.Errorf("Close after a failed Start: %v", err)
	}
}

func TestPipe(t *testing.T) {
	var b bytes.Buffer
	cfg := defaults()
	cfg.To, cfg.Ordered = "stdout", true
	s, err := New(context.Background(), cfg, pipeline.Env{Stdout: &b})
	if err != nil {
		t.Fatal(err)
	}
	if err := s.Process(context.Background(), jsonItem("1", "a")); err != nil {
		t.Fatal(err)
	}
	if got, want := b.String(), "{\"id\":\"1\",\"body\":\"a\"}\n"; got != want {
		t.Errorf("%q, want %q", got, want)
	}
	if !s.(pipeline.Orderer).Ordered() || !cfg.WritesStdout() {
		t.Error("ordered or stdout was forgotten")
	}
}
