package pipeline

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"strings"
	"testing"
	"testing/iotest"
	"time"

	"github.com/google/go-cmp/cmp"
)

func TestReadItems(t *testing.T) {
	text := "\xef\xbb\xbf" + `{"id":"a","key":"k","idempotencyKey":"i","idempotencyScope":"active","idempotencyTTL":"1h30m","body":{"x":[1,2]},"meta":{"s":"t","n":1.50,"b":true},"priority":9,` +
		`"notBefore":"2026-01-02T03:04:05Z","deadline":"2027-01-02T03:04:05Z","maxAttempts":2,"trace":{"traceparent":"00-p","tracestate":"s"}}` +
		"\n\n  {}\r\n{\"body\":null}"
	want := []NewItem{
		{ID: "a", Key: "k", IdempotencyKey: "i", IdempotencyScope: ScopeActive, IdempotencyTTL: Duration(90 * time.Minute), Body: json.RawMessage(`{"x":[1,2]}`), Meta: map[string]string{"s": "t", "n": "1.50", "b": "true"},
			Priority: 9, NotBefore: time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC), Deadline: time.Date(2027, 1, 2, 3, 4, 5, 0, time.UTC),
			MaxAttempts: 2, Trace: TraceContext{Parent: "00-p", State: "s"}},
		{}, {Body: json.RawMessage("null")},
	}
	var got []NewItem
	var lines []int
	for it, err := range ReadItems(strings.NewReader(text), "x") {
		if err != nil {
			t.Fatal(err)
		}
		got = append(got, it.NewItem)
		lines = append(lines, it.Line)
	}
	if d := cmp.Diff(want, got); d != "" {
		t.Errorf("(-want +got):\n%s", d)
	}
	if d := cmp.Diff([]int{1, 3, 4}, lines); d != "" {
		t.Errorf("lines (-want +got):\n%s", d)
	}
}

func TestReadItemsErrors(t *testing.T) {
	for line, want := range map[string]string{
		`{"url":"x"}`:                                   `unknown field "url"`,
		`{"ID":"x"}`:                                    `unknown field "ID"`,
		`{"id":"a","id":"b"}`:                           `field "id" twice`,
		`{"meta":{"a":"1","a":"2"}}`:                    `field "a" twice`,
		`{"meta":{"a":{}}}`:                             "meta.a: want text, a number or a bool",
		`{"meta":{"a":null}}`:                           "meta.a: want text",
		`{"meta":[]}`:                                   "want a JSON object",
		`{"meta":{"waybill.body":"x"}}`:                 `meta.waybill.body: names that begin with "waybill." are reserved`,
		`{"idempotencyKey":"k","idempotencyTTL":60}`:    "idempotencyTTL: want a duration, like 24h or 30m",
		`{"idempotencyKey":"k","idempotencyTTL":"-1h"}`: "idempotencyTTL: want a duration",
		`{"idempotencyKey":"k","idempotencyTTL":"1ns"}`: "idempotencyTTL 1ns: want 1ms or more",
		`{"idempotencyKey":"k","idempotencyScope":"x"}`: `idempotencyScope "x": want "item" or "active"`,
		`{"idempotencyScope":"active"}`:                 "are of an idempotencyKey, and there is none",
		`{"priority":10}`:                               "priority 10: want 0 (lowest) to 9 (highest)",
		`{"priority":-1}`:                               "priority -1",
		`{"priority":1.5}`:                              "priority: want a whole number 0 to 9",
		`{"maxAttempts":"1"}`:                           "maxAttempts: want a whole number",
		`{"maxAttempts":-1}`:                            "maxAttempts -1",
		`{"id":7}`:                                      "id: want text",
		`{"id":"a\nb"}`:                                 "id: want at most 512 bytes",
		`{"deadline":"tomorrow"}`:                       "deadline: want RFC 3339, like 2026-01-02T15:04:05Z",
		`{"trace":{"x":1}}`:                             `trace: unknown field "x"`,
		`{"id":"a"`:                                     "cut off",
		`{"id":"a"} {}`:                                 "text after the JSON object",
		"{\"body\":\"\xff\"}":                           "not UTF-8",
		`[1]`:                                           "want a JSON object",
		`hello`:                                         "invalid character",
		`{"body":"` + strings.Repeat("x", MaxItemBody) + `"}`: "at most 1048576 are allowed",
		strings.Repeat(" x", queued.line()):                   "longer than",
	} {
		n := 0
		var first error
		for _, err := range ReadItems(strings.NewReader("{}\n"+line+"\n{}\n"), "in.jsonl") {
			if n++; n == 2 {
				first = err
			} else if err != nil {
				t.Errorf("%.40s: item %d: %v", line, n, err)
			}
		}
		if first == nil || !strings.HasPrefix(first.Error(), "in.jsonl:2:") || !strings.Contains(first.Error(), want) {
			t.Errorf("%.40s: error %v, want %q at in.jsonl:2", line, first, want)
		}
		if n != 3 {
			t.Errorf("%.40s: %d items, want the lines around it too", line, n)
		}
	}
}

// What is not JSON is shown by its column, in characters.
func TestReadItemsColumn(t *testing.T) {
	for line, want := range map[string]string{
		`  {"id":"ä" "body":1}`:           "x:1:13: invalid character",
		`{"body":`:                        "x:1:9: the JSON object is cut off",
		`hello`:                           "x:1:1: invalid character",
		`{"id":"a"} {}`:                   "x:1:12: text after",
		"{\"meta\":{\"a\":\"\xc3\x28\"}}": "x:1:15: the line is not UTF-8",
		`{"bdy":1}`:                       `x:1: unknown field "bdy"`,
	} {
		for _, err := range ReadItems(strings.NewReader(line), "x") {
			if err == nil || !strings.HasPrefix(err.Error(), want) {
				t.Errorf("%s: %v, want %s", line, err, want)
			}
		}
	}
}

// A program can hand over what no line can hold.
func TestNewItemIsUTF8(t *testing.T) {
	if err := (&NewItem{Body: json.RawMessage("\"\xff\"")}).Validate(); err == nil || !strings.Contains(err.Error(), "not UTF-8") {
		t.Errorf("%v, want a refusal", err)
	}
}

func TestReadItemsReaderFails(t *testing.T) {
	broken := errors.New("broken pipe")
	var errs []error
	n := 0
	for _, err := range ReadItems(io.MultiReader(strings.NewReader("{}\n{}\n"), iotest.ErrReader(broken)), "in") {
		n++
		if err != nil {
			errs = append(errs, err)
		}
	}
	if n != 3 || len(errs) != 1 || !errors.Is(errs[0], broken) {
		t.Errorf("%d elements, errors %v; want two items and the reader's error", n, errs)
	}
}

// FuzzParseItem: what is accepted is valid, and means the same when written
// down and read again.
func FuzzParseItem(f *testing.F) {
	for _, s := range []string{`{}`, `{"id":"a","body":{"x":1},"meta":{"n":1},"priority":3}`, `{"notBefore":"2026-01-02T03:04:05Z"}`, `{"meta":{"a":[`} {
		f.Add([]byte(s))
	}
	f.Fuzz(func(t *testing.T, line []byte) {
		it, err := ParseItem(line)
		if err != nil {
			return
		}
		if err := it.Validate(); err != nil {
			t.Fatalf("accepted but not valid: %v", err)
		}
		text, err := json.Marshal(it)
		if err != nil {
			t.Fatal(err)
		}
		again, err := ParseItem(text)
		if err != nil {
			t.Fatalf("%s: %v", text, err)
		}
		if !bytes.Equal(compact(t, it.Body), compact(t, again.Body)) || it.ID != again.ID || len(it.Meta) != len(again.Meta) || !it.NotBefore.Equal(again.NotBefore) {
			t.Fatalf("%s became %+v", text, again)
		}
	})
}

func compact(t *testing.T, raw []byte) []byte {
	if len(raw) == 0 {
		return nil
	}
	var b bytes.Buffer
	enc := json.NewEncoder(&b)
	var v any
	dec := json.NewDecoder(bytes.NewReader(raw))
	dec.UseNumber()
	if err := errors.Join(dec.Decode(&v), enc.Encode(v)); err != nil {
		t.Fatal(fmt.Errorf("%s: %w", raw, err))
	}
	return b.Bytes()
}
