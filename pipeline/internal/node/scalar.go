package node

import (
	"errors"
	"math"
	"strconv"
	"strings"
)

var (
	errAmbiguous = errors.New("a number that starts with 0 is octal to some and decimal to others")
	errQuoted    = errors.New("a quoted number is text")
)

// parseInt reads an integer of the YAML core schema: decimal, 0x or 0o.
func parseInt(s string) (int64, error) {
	digits := strings.TrimLeft(s, "+-")
	if len(digits) > 1 && digits[0] == '0' && digits[1] >= '0' && digits[1] <= '9' {
		return 0, errAmbiguous
	}
	return strconv.ParseInt(strings.TrimPrefix(s, "+"), 0, 64)
}

func parseFloat(s string) (float64, error) {
	digits := strings.TrimLeft(s, "+-")
	if len(digits) > 1 && digits[0] == '0' && digits[1] >= '0' && digits[1] <= '9' {
		return 0, errAmbiguous
	}
	f, err := strconv.ParseFloat(s, 64)
	if err == nil && (math.IsInf(f, 0) || math.IsNaN(f)) {
		return 0, errors.New("not a finite number")
	}
	return f, err
}

func parseBool(s string) (bool, bool) {
	switch s {
	case "true", "True", "TRUE":
		return true, true
	case "false", "False", "FALSE":
		return false, true
	}
	return false, false
}

// Value returns what the node stands for without a type: nil, bool, int,
// float64, string, []any or map[string]any, with references resolved.
func (n *Node) Value() any {
	switch n.Kind() {
	case List:
		out := make([]any, 0, len(n.yaml.Content))
		for _, c := range n.Items() {
			out = append(out, c.Value())
		}
		return out
	case Map:
		out := make(map[string]any, len(n.yaml.Content)/2)
		for _, f := range n.Fields() {
			out[f.Name] = f.Value.Value()
		}
		return out
	case Scalar:
		return n.scalarValue()
	}
	return nil
}

func (n *Node) scalarValue() any {
	if n.Referenced() {
		return n.Text()
	}
	var err error
	switch n.tag() {
	case "!!bool":
		if b, ok := parseBool(n.yaml.Value); ok {
			return b
		}
	case "!!int":
		var i int64
		if i, err = parseInt(n.yaml.Value); err == nil {
			return int(i)
		}
	case "!!float":
		var f float64
		if f, err = parseFloat(n.yaml.Value); err == nil {
			return f
		}
	}
	if err != nil {
		n.Problem(CodeWrongType, "quote it if it is text", "%s cannot be used as a number%s", n.yaml.Value, because(err))
	}
	return n.yaml.Value
}

// because adds the reason to a message where it says more than the message.
func because(err error) string {
	switch {
	case errors.Is(err, errAmbiguous):
		return ": " + err.Error()
	case errors.Is(err, strconv.ErrRange):
		return ": it is too large"
	}
	return ""
}
