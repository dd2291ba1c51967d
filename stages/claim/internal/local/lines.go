package local

import (
	"cmp"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"iter"
	"slices"
	"strings"
	"unicode/utf8"

	"github.com/waybill-dev/waybill/pipeline"
)

// The formats of lines.
const (
	FormatItems = "items" // lines of `waybill enqueue`
	FormatJSONL = "jsonl" // any JSON value is a body
	FormatLines = "lines" // any text is a body
)

// Lines makes records of the lines of r; name is the input's. An error of r
// itself is the last element.
func Lines(r io.Reader, name, format string) iter.Seq2[*Record, error] {
	return func(yield func(*Record, error) bool) {
		for l, err := range pipeline.ReadLines(r) {
			if err != nil && l.Text == nil {
				yield(nil, err)
				return
			}
			rec := &Record{Where: fmt.Sprintf("%s:%d", name, l.Number), Text: l.Text}
			if rec.Bad = err; err == nil {
				rec.Item, rec.Bad = ParseLine(l.Text, format)
			}
			if !yield(rec, nil) {
				return
			}
		}
	}
}

// ParseLine makes an item of one line.
func ParseLine(text []byte, format string) (pipeline.NewItem, error) {
	switch format {
	case FormatJSONL:
		it := pipeline.NewItem{Body: text}
		return it, it.Validate()
	case FormatLines:
		if !utf8.Valid(text) {
			return pipeline.NewItem{}, pipeline.Fail("bad-item", "the line is not UTF-8")
		}
		body, err := json.Marshal(string(text))
		it := pipeline.NewItem{Body: body}
		return it, errors.Join(err, it.Validate())
	}
	it, err := pipeline.ParseItem(text)
	var typed *pipeline.Error
	if errors.As(err, &typed) && typed.Hint == "" {
		typed.Hint = "format: jsonl takes each line as a body"
	}
	return it, err
}

// Formats lists the formats of lines.
func Formats() []string { return []string{FormatItems, FormatJSONL, FormatLines} }

// Format returns the format that the URL or the stage's key asks for, items if
// neither does, out of those of lines and more.
func Format(url, key string, more ...string) (string, error) {
	known := append(Formats(), more...)
	format := cmp.Or(url, key, FormatItems)
	switch {
	case url != "" && key != "" && url != key:
		return "", pipeline.Fail("bad-format", "format %s in the URL, and %s beside it", url, key).WithHint("say it once")
	case !slices.Contains(known, format):
		return "", pipeline.Fail("bad-format", "unknown format %q", format).WithHint("known: %s", strings.Join(known, ", "))
	}
	return format, nil
}
