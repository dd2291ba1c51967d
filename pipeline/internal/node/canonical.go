package node

import (
	"encoding/json"
	"fmt"
	"slices"
	"strconv"
	"unicode/utf16"
)

// Canonical returns the document as canonical JSON by the rules of RFC 8785:
// keys sorted by UTF-16 code units, no white space, the shortest escapes,
// numbers as ECMAScript writes them. One rule differs, so that no two documents
// share a form: whole numbers keep all their digits. Aliases are expanded,
// comments and layout are gone, references stay as they are written.
func (n *Node) Canonical() []byte { return n.appendCanonical(nil) }

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
		fields := n.Fields()
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

func compareUTF16(a, b string) int {
	return slices.Compare(utf16.Encode([]rune(a)), utf16.Encode([]rune(b)))
}

var shortEscapes = map[rune]string{'"': `\"`, '\\': `\\`, '\b': `\b`, '\t': `\t`, '\n': `\n`, '\f': `\f`, '\r': `\r`}

func appendString(b []byte, s string) []byte {
	b = append(b, '"')
	for _, r := range s {
		switch short, ok := shortEscapes[r]; {
		case ok:
			b = append(b, short...)
		case r < 0x20:
			b = fmt.Appendf(b, `\u%04x`, r)
		default:
			b = append(b, string(r)...)
		}
	}
	return append(b, '"')
}
