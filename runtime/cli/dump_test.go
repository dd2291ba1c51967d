package cli

import (
	"bytes"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/waybill-dev/waybill/pipeline"
)

// travelled is an entry with everything that a queue keeps.
func travelled() pipeline.Entry {
	at := time.Date(2026, 1, 2, 3, 4, 5, 6e6, time.UTC)
	return pipeline.Entry{ID: "a<&>é", Queue: "pages", State: pipeline.StateDead, Key: "k", Priority: 9, Attempts: 4, Token: 1 << 60, Owner: "w",
		Body: json.RawMessage(`{"n":1.50}`), Meta: map[string]string{"m": "1"}, Enqueued: at, NotBefore: at.Add(1), Deadline: at.Add(2),
		Ended: at.Add(3), Result: pipeline.Dead, Digest: pipeline.DigestOf(nil), Trace: pipeline.TraceContext{Parent: "p", State: "s"},
		MaxAttempts: 3, IdempotencyKey: "i", IdempotencyScope: pipeline.ScopeActive, IdempotencyUntil: at.Add(4), Cancelled: true, Error: "e",
		History: []pipeline.Event{{At: at, Attempt: 1, What: "dead", Kind: "permanent", Code: "c", Stage: "s", Error: "e"}}}
}

func dumpOf(t testing.TB, entries ...pipeline.Entry) string {
	t.Helper()
	var b bytes.Buffer
	d := newDumpWriter(&b)
	for _, e := range entries {
		if err := d.add(e); err != nil {
			t.Fatal(err)
		}
	}
	if err := d.end(); err != nil {
		t.Fatal(err)
	}
	return b.String()
}

// reading is what readDump made of a text.
func reading(text string) (entries []pipeline.Entry, errs []string) {
	for e, err := range readDump(strings.NewReader(text), "x") {
		if err != nil {
			errs = append(errs, err.Error())
		} else {
			entries = append(entries, e.Entry)
		}
	}
	return entries, errs
}

func TestDumpKeepsEverything(t *testing.T) {
	want := append([]pipeline.Entry{travelled()}, entriesOf(pipeline.StateReady, "r", 2)...)
	want[1].History = []pipeline.Event{{Error: strings.Repeat("x", 9<<20)}} // longer than the line of any item
	text := dumpOf(t, want...)
	got, errs := reading(text)
	if d := cmp.Diff(want, got); d != "" || len(errs) > 0 {
		t.Errorf("errors %v, (-want +got):\n%s", errs, d)
	}
	if got, errs := reading(dumpOf(t)); len(got) > 0 || len(errs) > 0 {
		t.Errorf("an empty dump: %v, %v", got, errs)
	}
	windows := strings.ReplaceAll(text, "\n", "\r\n") + "\n\n"
	if _, errs := reading(windows); len(errs) > 0 {
		t.Errorf("other line ends: %v", errs)
	}
}

// Every way to lose a part of a dump is found out, whatever byte it ends at.
func TestDumpIsWhole(t *testing.T) {
	text := dumpOf(t, entriesOf(pipeline.StateReady, "r", 3)...)
	for n := range len(text) - 1 {
		if _, errs := reading(text[:n]); len(errs) == 0 {
			t.Fatalf("cut off after %d of %d bytes, and nobody noticed: ...%s", n, len(text), text[max(0, n-40):n])
		}
	}
	l := strings.SplitAfter(text, "\n")
	for what, changed := range map[string]string{
		"nothing":                   "",
		"a line is missing":         l[0] + l[2] + l[3],
		"the lines are in disorder": l[1] + l[0] + l[2] + l[3],
		"a line is changed":         strings.Replace(text, `"priority":0`, `"priority":1`, 1),
		"a line comes after":        text + l[0],
		"two dumps in one":          text + text,
	} {
		if _, errs := reading(changed); len(errs) == 0 {
			t.Errorf("%s, and nobody noticed", what)
		}
	}
	_, errs := reading(l[0] + l[1])
	if want := "x: the dump is cut off: it has 2 items and no last line with their count"; len(errs) != 1 || errs[0] != want {
		t.Errorf("%q, want %s", errs, want)
	}
}

func TestBadDumpLines(t *testing.T) {
	good := `"enqueued":"2026-01-02T03:04:05Z"`
	for line, want := range map[string]string{
		`{`:                           "unexpected EOF",
		`{} {}`:                       "text after the JSON object",
		`[]`:                          "cannot unmarshal array",
		`{"id":"a","stat":"ready"}`:   `unknown field "stat"`,
		`{"state":"ready"}`:           "the item has no id",
		`{"id":"a","state":"asleep"}`: `unknown state "asleep": want ready, leased, done or dead`,
		`{"id":"a",` + good + `}`:     `unknown state ""`,
		`{"id":"a","state":"ready"}`:  "when it was enqueued",
		`{"id":"r0","state":"ready",` + good + `}`:                                `duplicate id "r0", first at line 1`,
		`{"id":"a","state":"done",` + good + `}`:                                  `the result "" does not go with the state done`,
		`{"id":"a","state":"ready","result":"dead",` + good + `}`:                 "does not go with the state ready",
		`{"id":"a","state":"dead","result":"dead","digest":"md5:x",` + good + `}`: "digest",
		`{"id":"a","state":"ready","attempts":-1,` + good + `}`:                   "must not be negative",
		`{"id":"a","state":"ready","priority":10,` + good + `}`:                   "priority 10: want",
		`{"id":"a\nb","state":"ready",` + good + `}`:                              "want at most 512 bytes",
		`{"id":"a","state":"ready",` + good + `,"meta":{"waybill.body":"x"}}`:     "meta.waybill.body: want",
	} {
		text := strings.SplitAfter(dumpOf(t, entriesOf(pipeline.StateReady, "r", 2)...), "\n")
		entries, errs := reading(text[0] + line + "\n" + text[1] + text[2])
		if len(entries) != 2 || len(errs) != 2 || !strings.HasPrefix(errs[0], "x:2: ") || !strings.Contains(errs[0], want) {
			t.Errorf("%s: %d entries, %q; want the others, and %q at x:2", line, len(entries), errs, want)
		}
	}
}

func TestExportImport(t *testing.T) {
	from := mixedQueue()
	from.entries[0] = travelled()
	dir := t.TempDir()
	for _, name := range []string{"q.jsonl", "q.jsonl.gz"} {
		file := filepath.Join(dir, name)
		if r := from.command(t, "export", "--to", file); r.stdout != "exported: 12\n" || r.code != 0 {
			t.Fatalf("exit %d, %s%s", r.code, r.stdout, r.stderr)
		}
		data, err := os.ReadFile(file)
		if err != nil || (data[0] == 0x1f) != strings.HasSuffix(name, ".gz") {
			t.Errorf("%s begins with %x, error %v", name, data[0], err)
		}
		to := &fakeQueue{entries: slices.Clone(from.entries[3:5])}
		r := run(t, to.parts(), "", "queue", "import", "--to", "fake:x", file)
		if want := "10 items imported, 2 already there\n"; r.stdout != want || r.code != 0 || len(to.entries) != 12 {
			t.Errorf("exit %d, %d entries, %s%s; want %s", r.code, len(to.entries), r.stdout, r.stderr, want)
		}
		to = &fakeQueue{}
		if r := run(t, to.parts(), string(data), "queue", "import", "--to", "fake:x", "-", "--json"); r.stdout != "{\"imported\":12,\"there\":0}\n" {
			t.Errorf("from standard input: exit %d, %s%s", r.code, r.stdout, r.stderr)
		}
		if d := cmp.Diff(from.entries, to.entries); d != "" {
			t.Errorf("(-exported +imported):\n%s", d)
		}
	}
	left, err := filepath.Glob(filepath.Join(dir, ".waybill*"))
	if err != nil || len(left) > 0 {
		t.Errorf("left behind: %v, %v", left, err)
	}
	if r := from.command(t, "export", "--state", "dead"); strings.Count(r.stdout, "\n") != 5 || !strings.Contains(r.stderr, "4 items exported") {
		t.Errorf("%s%s", r.stdout, r.stderr)
	}
}

// A file with something wrong in it is not imported half; standard input cannot
// be read twice, and then what came before is said.
func TestImportAllOrNothing(t *testing.T) {
	text := dumpOf(t, entriesOf(pipeline.StateReady, "r", 1200)...)
	lines := strings.SplitAfter(text, "\n")
	cut := strings.Join(lines[:1150], "")
	file := filepath.Join(t.TempDir(), "cut.jsonl")
	if err := os.WriteFile(file, []byte(cut), 0o600); err != nil {
		t.Fatal(err)
	}
	imports := func(q *fakeQueue, stdin string, args ...string) result {
		return run(t, q.parts(), stdin, append([]string{"queue", "import", "--to", "fake:x"}, args...)...)
	}
	q := &fakeQueue{}
	if r := imports(q, "", file); r.code != exitProblem || len(q.entries) > 0 || !strings.Contains(r.stderr, "cut off: it has 1150 items") || !strings.Contains(r.stderr, "nothing was imported") {
		t.Errorf("exit %d, %d entries, %s", r.code, len(q.entries), r.stderr)
	}
	if r := imports(q, cut, "-"); r.code != exitProblem || len(q.entries) != 1000 || !strings.Contains(r.stderr, "cut off: it has 1150 items") || !strings.Contains(r.stderr, "; 1000 items imported before it") {
		t.Errorf("exit %d, %d entries, %s", r.code, len(q.entries), r.stderr)
	}
	if r := imports(q, text, "-", "--dry-run"); r.stdout != "would import: 200, 1000 already there\n" || len(q.entries) != 1000 {
		t.Errorf("%d entries, %s%s", len(q.entries), r.stdout, r.stderr)
	}
	if r := imports(q, text, "-"); r.code != 0 || !slices.Equal(q.imports, []int{500, 500, 500, 500, 200}) || !strings.Contains(r.stdout, "200 items imported, 1000 already there") {
		t.Errorf("again: exit %d, batches %v, %s%s", r.code, q.imports, r.stdout, r.stderr)
	}
	q = &fakeQueue{refuse: "r700"}
	if r := imports(q, text, "-"); r.code != exitProblem || len(q.entries) != 500 || !strings.Contains(r.stderr, "stdin:701: the queue does not like it; 500 items imported before it") {
		t.Errorf("exit %d, %d entries, %s", r.code, len(q.entries), r.stderr)
	}
	if err := os.WriteFile(file, fmt.Appendf(nil, "{}\n%s", text), 0o600); err != nil {
		t.Fatal(err)
	}
	if r := imports(q, "", file); r.code != exitProblem || !strings.Contains(r.stderr, "cut.jsonl:1: the item has no id") {
		t.Errorf("exit %d, %s", r.code, r.stderr)
	}
}

// An export that fails leaves the file that was there before.
func TestExportIsWhole(t *testing.T) {
	q := mixedQueue()
	file := filepath.Join(t.TempDir(), "q.jsonl")
	if err := os.WriteFile(file, []byte("before"), 0o600); err != nil {
		t.Fatal(err)
	}
	q.entries[5].Body = json.RawMessage("{")
	r := q.command(t, "export", "--to", file)
	data, err := os.ReadFile(file)
	if r.code == 0 || err != nil || string(data) != "before" {
		t.Errorf("exit %d, %q, error %v", r.code, data, err)
	}
	if files, err := os.ReadDir(filepath.Dir(file)); err != nil || len(files) != 1 {
		t.Errorf("%v, %v", files, err)
	}
	if r := q.command(t, "export", "--to", filepath.Join(file, "q.jsonl")); r.code != exitProblem {
		t.Errorf("into a file as a folder: exit %d, %s", r.code, r.stderr)
	}
}

// FuzzDump: whatever is read, is read without a panic, and what is whole can be
// written and read again.
func FuzzDump(f *testing.F) {
	f.Add(dumpOf(f, travelled()))
	f.Add(dumpOf(f))
	f.Add(`{"end":{"entries":-1}}`)
	f.Add("\x1f\x8b")
	f.Fuzz(func(t *testing.T, text string) {
		entries, errs := reading(text)
		if len(errs) > 0 {
			return
		}
		again, errs := reading(dumpOf(t, entries...))
		if len(errs) > 0 || len(again) != len(entries) {
			t.Fatalf("%d of %d entries came back, errors %v", len(again), len(entries), errs)
		}
	})
}
