package manifest

import (
	"encoding/json"
	"maps"
	"slices"
	"strconv"
	"strings"
)

// canonical writes a value so that two of them are equal, as JSON Schema has
// it, if their forms are: order of keys and notation of numbers do not matter.
func canonical(v any) string { return string(appendCanonical(nil, v)) }

func appendCanonical(b []byte, v any) []byte {
	switch v := v.(type) {
	case map[string]any:
		b = append(b, '{')
		for _, name := range slices.Sorted(maps.Keys(v)) {
			b = strconv.AppendQuote(b, name)
			b = appendCanonical(append(b, ':'), v[name])
			b = append(b, ',')
		}
		return append(b, '}')
	case []any:
		b = append(b, '[')
		for _, item := range v {
			b = append(appendCanonical(b, item), ',')
		}
		return append(b, ']')
	case string:
		return strconv.AppendQuote(b, v)
	case json.Number:
		return newDecimal(v).append(b)
	case bool:
		return strconv.AppendBool(b, v)
	}
	return append(b, "null"...)
}

// decimal is a number as digits times a power of ten. The digits neither begin
// nor end with a zero, so that equal numbers are equal decimals; zero has none.
type decimal struct {
	negative bool
	digits   string
	exponent int
}

// newDecimal reads a number that strictJSON has let through.
func newDecimal(n json.Number) decimal {
	text, negative := strings.CutPrefix(strings.ToLower(string(n)), "-")
	mantissa, power, _ := strings.Cut(text, "e")
	whole, fraction, _ := strings.Cut(mantissa, ".")
	digits := strings.TrimLeft(whole+fraction, "0")
	short := strings.TrimRight(digits, "0")
	if short == "" {
		return decimal{}
	}
	exponent, _ := strconv.Atoi(power) // none is 0; a large one belongs to zero
	return decimal{negative, short, exponent - len(fraction) + len(digits) - len(short)}
}

func (d decimal) append(b []byte) []byte {
	if d.negative {
		b = append(b, '-')
	}
	b = append(b, '0')
	b = append(b, d.digits...)
	return strconv.AppendInt(append(b, 'e'), int64(d.exponent), 10)
}

// isInteger reports whether a value is a number without a fraction, such as 1.0.
func isInteger(v any) bool {
	n, ok := v.(json.Number)
	return ok && newDecimal(n).exponent >= 0
}

// choice is a set of values.
type choice struct {
	forms map[string]bool
	words string // for people
}

func newChoice(values []any) *choice {
	c := &choice{map[string]bool{}, shown(values)}
	for _, v := range values {
		c.forms[canonical(v)] = true
	}
	return c
}

func (c *choice) has(v any) bool { return c.forms[canonical(v)] }
