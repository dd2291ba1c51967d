package cas

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"math/big"
	"strconv"
	"strings"

	"github.com/gowebpki/jcs"
	"golang.org/x/text/unicode/norm"
)

// ErrNotExact is returned for JSON that has no canonical form without loss: RFC
// 8785 knows only the numbers of IEEE 754 doubles, so 12345678901234567890 would
// become another number. Such content is stored byte by byte.
var ErrNotExact = errors.New("a number does not fit a double exactly")

// Canonical returns the canonical form of a JSON text: RFC 8785 (JCS) with all
// strings and names in Unicode normalisation form C (UOR-ADDR-1). The address of
// JSON content is the SHA-256 of this form. Order inside arrays is content and
// is kept. Anything that is not strict JSON, has a name twice, or holds a number
// that a double cannot (ErrNotExact) is an error.
func Canonical(b []byte) ([]byte, error) {
	out, err := jcs.Transform(append([]byte{}, b...))
	if err != nil {
		return nil, fmt.Errorf("no canonical JSON: %w", err)
	}
	if err := checkNumbers(b); err != nil {
		return nil, err
	}
	if norm.NFC.IsNormal(out) {
		return out, nil
	}
	return normalise(out)
}

// CanonicalValue is Canonical for a Go value.
func CanonicalValue(v any) ([]byte, error) {
	b, err := json.Marshal(v)
	if err != nil {
		return nil, err
	}
	return Canonical(b)
}

// normalise puts the strings of a JCS text in form C. It works on decoded
// strings: in the text, the n of the escape \n would combine with a tilde.
func normalise(text []byte) ([]byte, error) {
	dec := json.NewDecoder(bytes.NewReader(text))
	dec.UseNumber()
	var v any
	if err := dec.Decode(&v); err != nil {
		return nil, err
	}
	v, err := nfc(v)
	if err != nil {
		return nil, err
	}
	if text, err = json.Marshal(v); err != nil {
		return nil, err
	}
	return jcs.Transform(text)
}

func nfc(v any) (any, error) {
	switch v := v.(type) {
	case string:
		return norm.NFC.String(v), nil
	case []any:
		for i := range v {
			w, err := nfc(v[i])
			if err != nil {
				return nil, err
			}
			v[i] = w
		}
	case map[string]any:
		out := make(map[string]any, len(v))
		for name, old := range v {
			w, err := nfc(old)
			if err != nil {
				return nil, err
			}
			name = norm.NFC.String(name)
			if _, twice := out[name]; twice {
				return nil, fmt.Errorf("no canonical JSON: the name %q is there twice after normalisation", name)
			}
			out[name] = w
		}
		return out, nil
	}
	return v, nil
}

// checkNumbers looks at every number of a valid JSON text.
func checkNumbers(b []byte) error {
	for i := 0; i < len(b); {
		switch c := b[i]; {
		case c == '"':
			for i++; b[i] != '"'; i++ {
				if b[i] == '\\' {
					i++
				}
			}
			i++
		case c == '-' || c >= '0' && c <= '9':
			start := i
			for i < len(b) && bytes.IndexByte([]byte("+-.eE0123456789"), b[i]) >= 0 {
				i++
			}
			if !exact(string(b[start:i])) {
				return fmt.Errorf("no canonical JSON: %w: %.40s", ErrNotExact, b[start:i])
			}
		default:
			i++
		}
	}
	return nil
}

// exact reports whether a number survives the way through a double: whether the
// shortest decimal that stands for the double has the same value.
func exact(literal string) bool {
	if len(literal) <= 15 && !strings.ContainsAny(literal, "eE") {
		return true // 15 digits always survive (DBL_DIG)
	}
	f, err := strconv.ParseFloat(literal, 64)
	if err != nil {
		return false
	}
	if f == 0 {
		mantissa, _, _ := strings.Cut(strings.ToLower(literal), "e")
		return strings.Trim(mantissa, "-0.") == "" // else it sank to zero
	}
	want, ok1 := new(big.Rat).SetString(literal)
	got, ok2 := new(big.Rat).SetString(strconv.FormatFloat(f, 'g', -1, 64))
	return ok1 && ok2 && want.Cmp(got) == 0
}
