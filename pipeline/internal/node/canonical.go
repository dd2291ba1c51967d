package node

import (
	"cmp"
	"encoding/json"
	"fmt"
	"slices"
	"strconv"
	"unicode/utf8"
)

// Canonical returns the document as canonical JSON by the rules of RFC 8785:
// keys sorted by UTF-16 code units, no white space, the shortest escapes,
// numbers as ECMAScript writes them. One rule differs, so that no two documents
// share a form: whole numbers keep all their digits. Aliases are expanded,
// comments and layout are gone, references stay as they are written.
func (n *Node) Canonical() []byte { return n.appendCanonical(make([]byte, 0, len(n.doc.src))) }

func (n *Node) appendCanonical(b []byte) []byte {
	switch n.Kind() {
	case List:
		b = append(b, '[')
		for i, item := range n.Items() {
			if i > 0 {
				b = append(b, ',')
			}
			b = item.appendCanonical(b)
		}
		return append(b, ']')
	case Map:
		fields := slices.Clone(n.Fields())
		slices.SortFunc(fields, func(x, y Field) int { return compareUTF16(x.Name, y.Name) })
		b = append(b, '{')
		for i, f := range fields {
			if i > 0 {
				b = append(b, ',')
			}
			b = append(appendString(b, f.Name), ':')
			b = f.Value.appendCanonical(b)
		}
		return append(b, '}')
	case Scalar:
		return n.appendScalar(b)
	}
	return append(b, "null"...)
}

func (n *Node) appendScalar(b []byte) []byte {
	if !n.Referenced() {
		switch x := n.scalarValue().(type) {
		case bool:
			return strconv.AppendBool(b, x)
		case int:
			return strconv.AppendInt(b, int64(x), 10)
		case float64:
			// encoding/json writes floats as ECMAScript does.
			text, err := json.Marshal(x + 0) // + 0 makes -0 plain
			if err == nil {
				return append(b, text...)
			}
		}
	}
	return appendString(b, n.Raw())
}

// compareUTF16 compares valid UTF-8 as its UTF-16 code units would compare.
func compareUTF16(a, b string) int {
	for i, r := range a {
		if i == len(b) {
			return 1
		}
		if s, _ := utf8.DecodeRuneInString(b[i:]); r != s { // up to here both are the same
			return cmp.Compare(orderUTF16(r), orderUTF16(s))
		}
	}
	return cmp.Compare(len(a), len(b))
}

// orderUTF16 maps characters to numbers in the order of their UTF-16: those
// behind U+FFFF start with a surrogate, which is less than U+E000.
func orderUTF16(r rune) rune {
	if r >= 0xE000 && r <= 0xFFFF {
		return r + utf8.MaxRune
	}
	return r
}

func appendString(b []byte, s string) []byte {
	b = append(b, '"')
	for i := range len(s) {
		switch c := s[i]; c {
		case '"', '\\':
			b = append(b, '\\', c)
		case '\b':
			b = append(b, `\b`...)
		case '\t':
			b = append(b, `\t`...)
		case '\n':
			b = append(b, `\n`...)
		case '\f':
			b = append(b, `\f`...)
		case '\r':
			b = append(b, `\r`...)
		default:
			if c < 0x20 {
				b = fmt.Appendf(b, `\u%04x`, c)
			} else {
				b = append(b, c)
			}
		}
	}
	return append(b, '"')
}
