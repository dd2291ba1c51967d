package samples

import (
	"encoding/hex"
	"fmt"
	"strconv"
	"strings"
	"unicode/utf8"
)

// shownBefore and shownAfter bound what is shown around the first difference,
// in bytes.
const (
	shownBefore = 24
	shownAfter  = 36
)

// diff shows the first difference of two values that differ, with a caret below
// it.
func diff(want, got []byte) string {
	at := 0
	for at < min(len(want), len(got)) && want[at] == got[at] {
		at++
	}
	var b strings.Builder
	fmt.Fprintf(&b, "byte %d differs (want %d bytes, got %d)\n", at, len(want), len(got))
	from := max(0, at-shownBefore)
	for text := want; from > 0 && from < len(text) && !utf8.RuneStart(text[from]); from-- {
	}
	fmt.Fprintf(&b, "  want %s\n  got  %s\n", excerpt(want, from), excerpt(got, from))
	b.WriteString(strings.Repeat(" ", len("  got  ")+column(got, from, at)) + "^")
	return b.String()
}

// excerpt renders some bytes: as text if that is what they are, else in
// hexadecimal.
func excerpt(b []byte, from int) string {
	from = min(from, len(b))
	part := b[from:min(len(b), from+shownBefore+shownAfter)]
	before, after := "", ""
	if from > 0 {
		before = "..."
	}
	if from+len(part) < len(b) {
		after = "..."
	}
	if isText(b) {
		return before + strconv.Quote(strings.ToValidUTF8(string(part), "")) + after
	}
	return before + hex.EncodeToString(part) + after
}

// column is where the byte at stands in the excerpt.
func column(b []byte, from, at int) int {
	lead := 0
	if from > 0 {
		lead = len("...")
	}
	part := b[min(from, len(b)):min(at, len(b))]
	if isText(b) {
		return lead + utf8.RuneCountInString(strconv.Quote(strings.ToValidUTF8(string(part), ""))) - 1
	}
	return lead + hex.EncodedLen(len(part))
}

func isText(b []byte) bool { return utf8.Valid(b) }
