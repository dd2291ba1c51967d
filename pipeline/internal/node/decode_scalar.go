package node

import (
	"fmt"
	"reflect"
	"slices"
	"strings"
)

func (n *Node) decodeScalar(v reflect.Value, f *FieldInfo) {
	what := scalarName(v)
	if f != nil && f.Enum != nil {
		what = "one of " + strings.Join(f.Enum, ", ")
	}
	if !n.expect(Scalar, what) {
		return
	}
	switch {
	case v.Kind() == reflect.String:
		n.decodeString(v, f, what)
	case v.Kind() == reflect.Bool:
		n.decodeBool(v)
	case v.CanFloat():
		n.decodeFloat(v)
	case v.CanInt() || v.CanUint():
		n.decodeInt(v)
	default:
		panic("node: cannot decode into " + v.Type().String())
	}
}

func scalarName(v reflect.Value) string {
	switch {
	case v.Kind() == reflect.String:
		return "text"
	case v.Kind() == reflect.Bool:
		return "true or false"
	case v.CanFloat():
		return "a number"
	}
	return "a whole number"
}

func (n *Node) decodeString(v reflect.Value, f *FieldInfo, what string) {
	if !n.IsString() {
		n.Problem(CodeWrongType, fmt.Sprintf("quote it: %q", n.Raw()), "want %s, got %s", what, n.describe())
		return
	}
	for _, s := range n.Segments() {
		if s.Kind == Expression {
			n.ProblemAt(s.Offset-len("${{"), CodeWrongType, "write $${{ for the characters themselves", "this key takes no ${{ expression }}: its value is the same for every item")
			return
		}
	}
	if f != nil && f.Enum != nil && !slices.Contains(f.Enum, n.Text()) {
		hint := ""
		if near := Nearest(n.Text(), f.Enum); near != "" {
			hint = "did you mean " + near + "?"
		}
		n.Problem(CodeBadValue, hint, "want %s, got %s", what, n.describe())
		return
	}
	v.SetString(n.Text())
}

func (n *Node) decodeBool(v reflect.Value) {
	b, ok := parseBool(n.Text())
	if !ok || !n.Referenced() && n.tag() != "!!bool" {
		hint := ""
		switch strings.ToLower(n.Text()) {
		case "yes", "on", "y":
			hint = "write true"
		case "no", "off", "n":
			hint = "write false"
		case "true", "false":
			hint = "remove the quotes"
		}
		n.Problem(CodeWrongType, hint, "want true or false, got %s", n.describe())
		return
	}
	v.SetBool(b)
}

func (n *Node) decodeInt(v reflect.Value) {
	i, err := parseInt(n.Text())
	hint := ""
	if err == nil && !n.Referenced() && n.tag() != "!!int" {
		err, hint = errQuoted, "remove the quotes"
	}
	switch {
	case err != nil:
		n.Problem(CodeWrongType, hint, "want a whole number, got %s%s", n.describe(), because(err))
	case v.CanUint() && (i < 0 || v.OverflowUint(uint64(i))), v.CanInt() && v.OverflowInt(i):
		n.Problem(CodeOutOfRange, "", "%s is out of range", n.Raw())
	case v.CanUint():
		v.SetUint(uint64(i))
	default:
		v.SetInt(i)
	}
}

func (n *Node) decodeFloat(v reflect.Value) {
	x, err := parseFloat(n.Text())
	hint := ""
	if t := n.tag(); err == nil && !n.Referenced() && t != "!!int" && t != "!!float" {
		err, hint = errQuoted, "remove the quotes"
	}
	if err != nil {
		n.Problem(CodeWrongType, hint, "want a number, got %s%s", n.describe(), because(err))
		return
	}
	v.SetFloat(x)
}
