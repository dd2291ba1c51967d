package pipeline

import (
	"encoding/json"
	"fmt"
	"math"
	"slices"
	"strconv"
	"strings"
	"time"
)

// Duration is a length of time in a config: 500ms, 30s, 2m, 1h30m. A number
// without a unit is refused: it is seconds to some and milliseconds to others.
type Duration time.Duration

// D returns the standard library's type.
func (d Duration) D() time.Duration { return time.Duration(d) }

// String renders the duration as it is written in a file, without zero parts:
// 2m, not 2m0s.
func (d Duration) String() string {
	s := time.Duration(d).String()
	if strings.HasSuffix(s, "m0s") {
		s = s[:len(s)-2]
	}
	if strings.HasSuffix(s, "h0m") {
		s = s[:len(s)-2]
	}
	return s
}

// MarshalText renders the duration like String.
func (d Duration) MarshalText() ([]byte, error) { return []byte(d.String()), nil }

const durationPattern = `([0-9]+(\.[0-9]+)?(ns|us|µs|ms|s|m|h))+`

// NodeSchema describes the syntax.
func (Duration) NodeSchema() json.RawMessage {
	return stringSchema("^" + durationPattern + "$")
}

// UnmarshalNode reads the duration.
func (d *Duration) UnmarshalNode(n *Node) {
	if text, ok := unitText(n, "a duration like 30s"); ok {
		v, hint, err := parseDuration(text)
		if err != nil {
			n.Problem(CodeBadDuration, hint, "%v", err)
			return
		}
		*d = v
	}
}

// ParseDuration reads a duration as pipeline files write it, for flags and
// embedding.
func ParseDuration(s string) (Duration, error) {
	d, hint, err := parseDuration(s)
	if err != nil && hint != "" {
		err = fmt.Errorf("%w: %s", err, hint)
	}
	return d, err
}

func parseDuration(s string) (d Duration, hint string, err error) {
	v, err := time.ParseDuration(s)
	_, numErr := strconv.ParseFloat(s, 64)
	switch {
	case numErr == nil:
		return 0, "write " + s + "s or " + s + "ms", fmt.Errorf("%q has no unit", s)
	case err != nil:
		return 0, "write 500ms, 30s, 2m or 1h30m", fmt.Errorf("%q is not a duration", s)
	case v < 0:
		return 0, "", fmt.Errorf("%q is negative", s)
	}
	return Duration(v), "", nil
}

// Range is two durations in a config: 500ms..30s.
type Range struct{ Min, Max Duration }

// String renders the range as it is written in a file.
func (r Range) String() string { return r.Min.String() + ".." + r.Max.String() }

// MarshalText renders the range like String.
func (r Range) MarshalText() ([]byte, error) { return []byte(r.String()), nil }

// NodeSchema describes the syntax.
func (Range) NodeSchema() json.RawMessage {
	return stringSchema("^" + durationPattern + `(\.\.` + durationPattern + ")?$")
}

// UnmarshalNode reads the range; one duration alone is both ends.
func (r *Range) UnmarshalNode(n *Node) {
	text, ok := unitText(n, "a range like 500ms..30s")
	if !ok {
		return
	}
	low, high, both := strings.Cut(text, "..")
	if !both {
		high = low
	}
	var out Range
	for _, end := range []struct {
		to   *Duration
		text string
	}{{&out.Min, low}, {&out.Max, high}} {
		v, hint, err := parseDuration(end.text)
		if err != nil {
			n.Problem(CodeBadDuration, hint, "%v", err)
			return
		}
		*end.to = v
	}
	if out.Min > out.Max {
		n.Problem(CodeBadDuration, "write "+high+".."+low, "%s is longer than %s", low, high)
		return
	}
	*r = out
}

// Bytes is a size in a config: 512, 64KiB, 32MiB, 1GiB, 10MB.
type Bytes int64

var byteUnits = []unitName{{"KiB", 1 << 10}, {"MiB", 1 << 20}, {"GiB", 1 << 30}, {"TiB", 1 << 40}, {"kB", 1e3}, {"KB", 1e3}, {"MB", 1e6}, {"GB", 1e9}, {"TB", 1e12}, {"B", 1}}

// String renders the size in the largest binary unit that keeps it whole.
func (b Bytes) String() string { return renderUnits(int64(b), byteUnits[:4]) }

// MarshalText renders the size like String.
func (b Bytes) MarshalText() ([]byte, error) { return []byte(b.String()), nil }

// NodeSchema describes the syntax.
func (Bytes) NodeSchema() json.RawMessage { return unitSchema(byteUnits) }

// UnmarshalNode reads the size.
func (b *Bytes) UnmarshalNode(n *Node) {
	if text, ok := unitText(n, "a size like 64KiB"); ok {
		v, err := ParseBytes(text)
		if err != nil {
			n.Problem(CodeBadSize, "write 512, 64KiB, 32MiB or 10MB", "%v", err)
			return
		}
		*b = v
	}
}

// ParseBytes reads a size as pipeline files write it, for flags and embedding.
func ParseBytes(s string) (Bytes, error) {
	v, err := parseUnits(s, byteUnits)
	if err != nil {
		return 0, fmt.Errorf("%q is not a size: %w", s, err)
	}
	return Bytes(v), nil
}

// Count is a number with an optional decimal suffix in a config: 200, 10k,
// 200M, 2G.
type Count int64

var countUnits = []unitName{{"k", 1e3}, {"M", 1e6}, {"G", 1e9}, {"T", 1e12}}

// String renders the count with the largest suffix that keeps it whole.
func (c Count) String() string { return renderUnits(int64(c), countUnits) }

// MarshalText renders the count like String.
func (c Count) MarshalText() ([]byte, error) { return []byte(c.String()), nil }

// NodeSchema describes the syntax.
func (Count) NodeSchema() json.RawMessage { return unitSchema(countUnits) }

// UnmarshalNode reads the count.
func (c *Count) UnmarshalNode(n *Node) {
	if text, ok := unitText(n, "a count like 200M"); ok {
		v, err := ParseCount(text)
		if err != nil {
			n.Problem(CodeBadCount, "write 200, 10k, 200M or 2G", "%v", err)
			return
		}
		*c = v
	}
}

// ParseCount reads a count as pipeline files write it, for flags and embedding.
func ParseCount(s string) (Count, error) {
	v, err := parseUnits(s, countUnits)
	if err != nil {
		return 0, fmt.Errorf("%q is not a count: %w", s, err)
	}
	return Count(v), nil
}

type unitName struct {
	suffix string
	factor int64
}

// unitText returns the text of a scalar, or reports that it is none.
func unitText(n *Node, want string) (string, bool) {
	switch n.Kind() {
	case KindScalar:
		return n.Text(), true
	case KindNull:
		n.Problem(CodeEmptyValue, "give it "+want+" or remove the key", "there is nothing here")
	default:
		n.Problem(CodeWrongType, "", "want %s, got %s", want, n.Kind())
	}
	return "", false
}

func parseUnits(s string, units []unitName) (int64, error) {
	number := strings.TrimRight(s, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ")
	factor := int64(1)
	if suffix := s[len(number):]; suffix != "" {
		i := slices.IndexFunc(units, func(u unitName) bool { return u.suffix == suffix })
		if i < 0 {
			return 0, fmt.Errorf("no unit is named %s", suffix)
		}
		factor = units[i].factor
	}
	if whole, err := strconv.ParseUint(number, 10, 63); err == nil {
		if whole > math.MaxInt64/uint64(factor) {
			return 0, fmt.Errorf("it is too large")
		}
		return int64(whole) * factor, nil
	}
	f, err := strconv.ParseFloat(number, 64)
	v := f * float64(factor)
	switch {
	case err != nil || strings.ContainsAny(number, "eExX_+"):
		return 0, fmt.Errorf("%q is not a number", number)
	case f < 0:
		return 0, fmt.Errorf("it is negative")
	case v != math.Trunc(v):
		return 0, fmt.Errorf("it is not whole")
	case v >= math.MaxInt64:
		return 0, fmt.Errorf("it is too large")
	}
	return int64(v), nil
}

func renderUnits(v int64, units []unitName) string {
	for i := len(units) - 1; i >= 0; i-- {
		if u := units[i]; v != 0 && v%u.factor == 0 {
			return strconv.FormatInt(v/u.factor, 10) + u.suffix
		}
	}
	return strconv.FormatInt(v, 10)
}

func stringSchema(pattern string) json.RawMessage {
	b, _ := json.Marshal(map[string]string{"type": "string", "pattern": pattern})
	return b
}

func unitSchema(units []unitName) json.RawMessage {
	names := make([]string, len(units))
	for i, u := range units {
		names[i] = u.suffix
	}
	b, _ := json.Marshal(map[string]any{"anyOf": []any{
		map[string]any{"type": "integer", "minimum": 0},
		map[string]any{"type": "string", "pattern": `^[0-9]+(\.[0-9]+)?(` + strings.Join(names, "|") + ")?$"},
	}})
	return b
}
