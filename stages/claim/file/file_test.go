package file

import (
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/waybill-dev/waybill/pipeline"
	"github.com/waybill-dev/waybill/stages/claim/internal/local"
	"go.uber.org/goleak"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// folder writes files and returns their folder.
func folder(t *testing.T, files map[string]string) string {
	t.Helper()
	dir := t.TempDir()
	for name, text := range files {
		path := filepath.Join(dir, name)
		if err := errors.Join(os.MkdirAll(filepath.Dir(path), 0o755), os.WriteFile(path, []byte(text), 0o644)); err != nil {
			t.Fatal(err)
		}
	}
	return dir
}

func mustOpen(t *testing.T, url string, o pipeline.QueueOptions) *local.Source {
	t.Helper()
	src, err := Driver().Open(t.Context(), url, o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = src.(*local.Source).Close() })
	return src.(*local.Source)
}

func claim(t *testing.T, s *local.Source, max int) []*pipeline.Item {
	t.Helper()
	items, err := s.Claim(t.Context(), max)
	if err != nil {
		t.Fatalf("claim: %v", err)
	}
	return items
}

func end(t *testing.T, s *local.Source, it *pipeline.Item, r pipeline.Result) {
	t.Helper()
	cause := it.Condemned
	if cause == nil {
		cause = errors.New("cause of " + string(r))
	}
	if err := s.Ack(t.Context(), it, pipeline.Outcome{Result: r, Cause: cause}); err != nil {
		t.Fatalf("ack %s: %v", it.ID, err)
	}
}

func wantEOF(t *testing.T, s *local.Source) {
	t.Helper()
	if items, err := s.Claim(t.Context(), 1); len(items) > 0 || !errors.Is(err, io.EOF) {
		t.Fatalf("claimed %d, error %v; want io.EOF", len(items), err)
	}
}

func ids(items []*pipeline.Item) []string {
	var out []string
	for _, it := range items {
		out = append(out, it.ID)
	}
	return out
}

func TestFormats(t *testing.T) {
	dir := folder(t, map[string]string{
		"items.jsonl":     "{\"id\":\"a\",\"body\":{\"n\":1},\"meta\":{\"depth\":2},\"priority\":3}\n\n{\"body\":[1]}\r\n{}",
		"any.jsonl":       "{\"url\":\"https://example.com/\"}\n\"text\"\n7\n",
		"rows.csv":        "\ufeffname,url\nx,https://example.com/\n\"a,b\",\"line\none\"\n",
		"pages/b.html":    "<p>b</p>",
		"pages/a.html":    "<p>a</p>",
		"pages/.hidden":   "no",
		"pages/sub/c.txt": "no",
		"one.bin":         "\xff\xfe",
	})
	for name, tc := range map[string]struct {
		url, format string
		want        []string // id media body meta
	}{
		"items": {"file:items.jsonl", "", []string{
			`a application/json {"n":1} map[depth:2]`, `items.jsonl:3 application/json [1] map[]`, `items.jsonl:4 application/json  map[]`}},
		"jsonl": {"file:any.jsonl", "jsonl", []string{
			`any.jsonl:1 application/json {"url":"https://example.com/"} map[]`, `any.jsonl:2 application/json "text" map[]`, `any.jsonl:3 application/json 7 map[]`}},
		"lines": {"file:any.jsonl", "lines", []string{
			`any.jsonl:1 application/json "{\"url\":\"https://example.com/\"}" map[]`, `any.jsonl:2 application/json "\"text\"" map[]`, `any.jsonl:3 application/json "7" map[]`}},
		"csv": {"file:rows.csv", "", []string{
			`rows.csv:2 application/json {"name":"x","url":"https://example.com/"} map[]`,
			`rows.csv:3 application/json {"name":"a,b","url":"line\none"} map[]`}},
		"glob": {"file:pages/*", "", []string{
			`pages/a.html text/html; charset=utf-8 <p>a</p> map[name:a.html path:pages/a.html]`,
			`pages/b.html text/html; charset=utf-8 <p>b</p> map[name:b.html path:pages/b.html]`}},
		"one file": {"file:one.bin", "", []string{"one.bin application/octet-stream \xff\xfe map[name:one.bin path:one.bin]"}},
	} {
		t.Run(name, func(t *testing.T) {
			s := mustOpen(t, tc.url, pipeline.QueueOptions{Dir: dir, Format: tc.format, Queue: "q"})
			items := claim(t, s, 10)
			var got []string
			for _, it := range items {
				raw, _ := it.Body.Bytes()
				media := it.Body.MediaType()
				if it.Body.IsZero() {
					media = pipeline.MediaJSON
				}
				got = append(got, it.ID+" "+media+" "+string(raw)+" "+fmt.Sprint(it.Meta))
				if string(it.Input) != string(raw) || it.Attempt != 1 || it.Token == 0 || it.Queue != "q" {
					t.Errorf("item %+v", it)
				}
			}
			if d := cmp.Diff(tc.want, got); d != "" {
				t.Errorf("(-want +got):\n%s", d)
			}
			if n, _, _ := s.Pending(t.Context()); n != int64(len(items))+1 && n != int64(len(items)) {
				t.Errorf("pending %d with %d held", n, len(items))
			}
			for _, it := range items {
				end(t, s, it, pipeline.Succeeded)
			}
			wantEOF(t, s)
			if n, _, err := s.Pending(t.Context()); n != 0 || err != nil {
				t.Errorf("pending %d at the end, error %v", n, err)
			}
			if err := s.Close(); err != nil {
				t.Errorf("close: %v", err)
			}
		})
	}
}

func TestOpenErrors(t *testing.T) {
	dir := folder(t, map[string]string{"empty.csv": "", "twice.csv": "a,a\n1,2\n", "ok.jsonl": "{}\n",
		"other.ckpt": "{\"waybill\":\"checkpoint/1\",\"input\":\"file:x\",\"format\":\"items\"}\n", "bad.ckpt": "hello\n"})
	for url, tc := range map[string]struct {
		o    pipeline.QueueOptions
		want string
	}{
		"file:none.jsonl":  {pipeline.QueueOptions{}, "no such file"},
		"file:none/*.html": {pipeline.QueueOptions{}, "no file matches"},
		"file:":            {pipeline.QueueOptions{}, "not a file: URL"},
		"file:empty.csv":   {pipeline.QueueOptions{}, "header"},
		"file:twice.csv":   {pipeline.QueueOptions{}, `"a" is empty or repeated`},
		"file:ok.jsonl":    {pipeline.QueueOptions{Create: true}, "not a queue to fill"},
		"file:./ok.jsonl":  {pipeline.QueueOptions{Format: "xml"}, `unknown format "xml"`},
		"file://ok.jsonl":  {pipeline.QueueOptions{Checkpoint: "other.ckpt"}, "of the input file:x"},
		"file:ok.jsonl ":   {pipeline.QueueOptions{}, "no such file"},
		"file:.//ok.jsonl": {pipeline.QueueOptions{Checkpoint: "bad.ckpt"}, "bad.ckpt:1: not a checkpoint"},
	} {
		tc.o.Dir = dir
		src, err := Driver().Open(t.Context(), url, tc.o)
		if err == nil || !strings.Contains(err.Error(), tc.want) {
			t.Errorf("%s: error %v, want %q", url, err, tc.want)
		}
		if src != nil {
			t.Errorf("%s: a source beside an error", url)
		}
	}
}

func TestBadRecords(t *testing.T) {
	dir := folder(t, map[string]string{
		"in.jsonl": "{\"id\":\"a\"}\n{\"url\":\"x\"}\nnot json\n{\"id\":\"a\"}\n{\"id\":\"b\"}\n",
		"in.csv":   "a,b\n1,2\n1\n3,4\n",
	})
	s := mustOpen(t, "file:in.jsonl", pipeline.QueueOptions{Dir: dir})
	items := claim(t, s, 10)
	if d := cmp.Diff([]string{"a", "in.jsonl:2", "in.jsonl:3", "in.jsonl:4", "b"}, ids(items)); d != "" {
		t.Fatalf("all lines (-want +got):\n%s", d)
	}
	for _, it := range items[1:4] {
		if pipeline.KindOf(it.Condemned) != pipeline.Permanent || it.Condemned == nil || it.Attempt != 0 || len(it.Input) == 0 {
			t.Errorf("%s: attempt %d, input %q, condemned: %v", it.ID, it.Attempt, it.Input, it.Condemned)
		}
		end(t, s, it, pipeline.Dead)
	}
	end(t, s, items[0], pipeline.Dead)
	end(t, s, items[4], pipeline.Succeeded)
	wantEOF(t, s)
	if err := s.Close(); err != nil {
		t.Error(err)
	}
	letters := readLetters(t, filepath.Join(dir, "in.jsonl.dead.jsonl"))
	want := []string{
		`in.jsonl:2 "{\"url\":\"x\"}" in.jsonl:2: unknown field "url"`,
		`in.jsonl:3 "not json" in.jsonl:3: invalid character`,
		`in.jsonl:4 "{\"id\":\"a\"}" in.jsonl:4: an earlier line has the id "a" too`,
		`a  cause of dead`,
	}
	for i := range want {
		if i >= len(letters) || !strings.HasPrefix(letters[i].ID+" "+string(letters[i].Body)+" "+letters[i].Meta["dead.error"], want[i]) {
			t.Errorf("dead letters are %+v, want at %d %q", letters, i, want[i])
		}
	}
	if letters[3].Meta["dead.attempts"] != "1" || letters[3].Meta["dead.from"] != "in.jsonl:1" {
		t.Errorf("meta %v", letters[3].Meta)
	}

	s = mustOpen(t, "file:in.csv", pipeline.QueueOptions{Dir: dir})
	items = claim(t, s, 10)
	if d := cmp.Diff([]string{"in.csv:2", "in.csv:3", "in.csv:4"}, ids(items)); d != "" || items[1].Condemned == nil {
		t.Fatalf("the rows (-want +got):\n%s", d)
	}
	end(t, s, items[1], pipeline.Dead)
	if got := readLetters(t, filepath.Join(dir, "in.csv.dead.jsonl")); len(got) != 1 || got[0].ID != "in.csv:3" {
		t.Errorf("dead rows %+v", got)
	}
}

// readLetters reads dead letters as `waybill enqueue` would.
func readLetters(t *testing.T, path string) (out []pipeline.NewItem) {
	t.Helper()
	f, err := os.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	for it, err := range pipeline.ReadItems(f, path) {
		if err != nil {
			t.Fatalf("a dead letter cannot be enqueued again: %v", err)
		}
		out = append(out, it.NewItem)
	}
	return out
}

func TestDelays(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		soon := time.Now().Add(time.Minute).Format(time.RFC3339)
		dir := folder(t, map[string]string{"in.jsonl": `{"id":"a"}
{"id":"late","notBefore":"` + soon + `"}
{"id":"dying","notBefore":"` + time.Now().Add(time.Hour).Format(time.RFC3339) + `","deadline":"` + soon + `"}
{"id":"b"}
`})
		s := mustOpen(t, "file:in.jsonl", pipeline.QueueOptions{Dir: dir})
		items := claim(t, s, 10)
		if d := cmp.Diff([]string{"a", "b"}, ids(items)); d != "" {
			t.Fatalf("(-want +got):\n%s", d)
		}
		if err := s.Nack(t.Context(), items[0], pipeline.Release{After: 10 * time.Second}); err != nil {
			t.Fatal(err)
		}
		if got := claim(t, s, 10); len(got) != 0 {
			t.Fatalf("claimed %v before their time", ids(got))
		}
		n, next, _ := s.Pending(t.Context())
		if n != 4 || !next.Equal(time.Now().Add(10*time.Second)) {
			t.Errorf("pending %d, next %v", n, next)
		}
		time.Sleep(10 * time.Second)
		again := claim(t, s, 10)
		if len(again) != 1 || again[0].ID != "a" || again[0].Attempt != 2 || again[0].Token <= items[0].Token {
			t.Fatalf("after the delay: %+v", again)
		}
		if err := s.Ack(t.Context(), items[0], pipeline.Outcome{Result: pipeline.Succeeded}); !errors.Is(err, pipeline.ErrLeaseLost) {
			t.Errorf("a stale ack: %v", err)
		}
		if err := s.Nack(t.Context(), items[0], pipeline.Release{}); !errors.Is(err, pipeline.ErrLeaseLost) {
			t.Errorf("a stale nack: %v", err)
		}
		if lost, _ := s.Renew(t.Context(), []*pipeline.Item{items[0], again[0]}); !slices.Equal(lost, items[:1]) {
			t.Errorf("renew lost %v", ids(lost))
		}
		if err := s.Nack(t.Context(), again[0], pipeline.Release{Refund: true}); err != nil {
			t.Fatal(err)
		}
		again = claim(t, s, 1)
		if again[0].Attempt != 2 {
			t.Errorf("attempt %d after a refund, want 2", again[0].Attempt)
		}
		time.Sleep(50 * time.Second)
		late := claim(t, s, 10)
		if d := cmp.Diff([]string{"late", "dying"}, ids(late)); d != "" {
			t.Fatalf("(-want +got):\n%s", d)
		}
		dying := late[1]
		if pipeline.CodeOf(dying.Condemned) != pipeline.CodeDeadlineExceeded || dying.Attempt != 0 {
			t.Errorf("attempt %d, condemned: %v; want that its deadline passed", dying.Attempt, dying.Condemned)
		}
		end(t, s, dying, pipeline.Dead)
		for _, it := range []*pipeline.Item{again[0], items[1], late[0], late[0]} {
			end(t, s, it, pipeline.Succeeded) // one of them twice
		}
		wantEOF(t, s)
		if got := readLetters(t, filepath.Join(dir, "in.jsonl.dead.jsonl")); len(got) != 1 || got[0].Meta["dead.code"] != pipeline.CodeDeadlineExceeded {
			t.Errorf("dead letters %+v, want dying by its deadline", got)
		}
	})
}

func TestKeys(t *testing.T) {
	dir := folder(t, map[string]string{"in.jsonl": `{"id":"a1","key":"a"}
{"id":"a2","key":"a"}
{"id":"b1","key":"b"}
{"id":"x","idempotencyKey":"i"}
{"id":"y","idempotencyKey":"i"}
`})
	s := mustOpen(t, "file:in.jsonl", pipeline.QueueOptions{Dir: dir})
	items := claim(t, s, 10)
	if d := cmp.Diff([]string{"a1", "b1", "x"}, ids(items)); d != "" {
		t.Fatalf("(-want +got):\n%s", d)
	}
	if got := claim(t, s, 10); len(got) != 0 {
		t.Fatalf("claimed %v while their keys run", ids(got))
	}
	if err := s.Nack(t.Context(), items[0], pipeline.Release{After: time.Hour}); err != nil {
		t.Fatal(err)
	}
	if got := claim(t, s, 10); len(got) != 0 {
		t.Fatalf("claimed %v while the oldest of its key is delayed", ids(got))
	}
}
