package node

import (
	"fmt"
	"reflect"
	"strings"

	"gopkg.in/yaml.v3"
)

// Decode decodes the node into the value that v points to, strictly, and
// reports whether there was no problem. What v holds before are the defaults
// of keys that are left out.
//
// A string takes text only: a plain number or bool must be quoted, because 1.10
// and "1.10" are different things to the tools that read the file. A number or
// bool takes a plain scalar of its type, or any text that came from a
// reference and reads as that type. A key with nothing behind it is a problem.
// Structs follow the tags of FieldInfo; types that implement Unmarshaler decode
// themselves; any takes everything.
func (n *Node) Decode(v any) bool {
	before := len(n.doc.problems)
	n.decode(reflect.ValueOf(v).Elem(), nil)
	return len(n.doc.problems) == before
}

// DecodeConfig is Decode for the config behind a stage's kind, where nothing
// ("- witness:") means an empty mapping.
func (n *Node) DecodeConfig(v any) bool {
	config := reflect.ValueOf(v).Elem()
	if _, ok := v.(Unmarshaler); ok || n.Kind() != Null || config.Kind() != reflect.Struct {
		return n.Decode(v)
	}
	before := len(n.doc.problems)
	n.decodeFields(config)
	return len(n.doc.problems) == before
}

func (n *Node) decode(v reflect.Value, f *FieldInfo) {
	if n.doc.faulty[n.yaml] {
		return
	}
	if v.Kind() == reflect.Pointer {
		p := reflect.New(v.Type().Elem())
		if !v.IsNil() {
			p.Elem().Set(v.Elem())
		}
		n.decode(p.Elem(), f)
		v.Set(p)
		return
	}
	if f != nil && f.Public {
		n.makePublic()
	}
	before := len(n.doc.problems)
	if u, ok := v.Addr().Interface().(Unmarshaler); ok {
		u.UnmarshalNode(n)
	} else {
		n.decodeKind(v, f)
	}
	if f != nil && len(n.doc.problems) == before {
		n.checkBounds(v, f)
	}
}

func (n *Node) decodeKind(v reflect.Value, f *FieldInfo) {
	switch v.Kind() {
	case reflect.Struct:
		n.decodeStruct(v)
	case reflect.Slice:
		n.decodeSlice(v, f)
	case reflect.Map:
		n.decodeMap(v, f)
	case reflect.Interface:
		if x := reflect.ValueOf(n.Value()); x.IsValid() {
			v.Set(x)
		}
	default:
		n.decodeScalar(v, f)
	}
}

// expect reports a node of the wrong shape.
func (n *Node) expect(want Kind, what string) bool {
	switch got := n.Kind(); {
	case got == want:
		return true
	case got == Null:
		n.Problem(CodeEmptyValue, "give it "+what+" or remove the key", "there is nothing here")
	case got == Scalar:
		n.Problem(CodeWrongType, "", "want %s, got %s", what, n.describe())
	default:
		n.Problem(CodeWrongType, "", "want %s, got %s", what, got)
	}
	return false
}

// describe says what a scalar is, as written.
func (n *Node) describe() string {
	raw := []rune(n.yaml.Value)
	if len(raw) > 40 {
		raw = append(raw[:40], '…')
	}
	switch n.tag() {
	case "!!int", "!!float":
		return "the number " + string(raw)
	case "!!bool":
		return "the bool " + string(raw)
	}
	return fmt.Sprintf("the text %q", string(raw))
}

func (n *Node) decodeStruct(v reflect.Value) {
	if n.expect(Map, "a mapping") {
		n.decodeFields(v)
	}
}

func (n *Node) decodeFields(v reflect.Value) {
	info := n.doc.structInfo(v.Type())
	for _, e := range n.Fields() {
		f := info.byName[e.Name]
		if f == nil {
			e.Key.UnknownKey(info.names)
			continue
		}
		e.Value.decode(v.FieldByIndex(f.Index), f)
	}
	for i := range info.fields {
		if f := &info.fields[i]; !f.Optional && n.child(f.Name, -1) == nil {
			n.MissingKey(f.Name)
		}
	}
}

// Suggest is the hint for a name that is not one of the known ones.
func Suggest(name string, known []string) string {
	if near := Nearest(name, known); near != "" {
		return "did you mean " + near + "?"
	}
	if len(known) == 0 {
		return "no key is allowed here"
	}
	return "known: " + strings.Join(known, ", ")
}

// MissingKey reports that a mapping lacks a required key. The place is the key
// that the mapping stands behind.
func (n *Node) MissingKey(name string) {
	p := n.KeyPos()
	path := (&Node{parent: n, key: &yaml.Node{Value: name}}).Path()
	n.doc.report(max(1, p.Line), max(1, p.Col), path, CodeMissingKey, "", "the key %q is required", name)
}

func (n *Node) decodeSlice(v reflect.Value, f *FieldInfo) {
	if !n.expect(List, "a list") {
		return
	}
	items := n.Items()
	s := reflect.MakeSlice(v.Type(), len(items), len(items))
	for i, item := range items {
		item.decode(s.Index(i), f.element())
	}
	v.Set(s)
}

func (n *Node) decodeMap(v reflect.Value, f *FieldInfo) {
	if !n.expect(Map, "a mapping") {
		return
	}
	m := reflect.MakeMap(v.Type())
	for _, e := range n.Fields() {
		x := reflect.New(v.Type().Elem()).Elem()
		e.Value.decode(x, f.element())
		m.SetMapIndex(reflect.ValueOf(e.Name).Convert(v.Type().Key()), x)
	}
	v.Set(m)
}

// element is what a field's tags say about the elements of its list or map.
func (f *FieldInfo) element() *FieldInfo {
	if f == nil || f.Enum == nil && !f.Public {
		return nil
	}
	return &FieldInfo{Enum: f.Enum, Public: f.Public}
}

func (n *Node) makePublic() {
	if r := n.doc.refs[n.yaml]; r != nil {
		r.secret = false
	}
}

// checkBounds compares a number, duration or size with the field's bounds,
// which are written as in a file and decoded the same way.
func (n *Node) checkBounds(v reflect.Value, f *FieldInfo) {
	if f.Min != "" && compare(v, bound(v.Type(), f.Min)) < 0 {
		n.Problem(CodeOutOfRange, "", "%s is too small: at least %s", n.Raw(), f.Min)
	}
	if f.Max != "" && compare(v, bound(v.Type(), f.Max)) > 0 {
		n.Problem(CodeOutOfRange, "", "%s is too large: at most %s", n.Raw(), f.Max)
	}
}

func bound(t reflect.Type, text string) reflect.Value {
	n := &Node{doc: &Document{}, yaml: &yaml.Node{Kind: yaml.ScalarNode, Value: text, Line: 1, Column: 1}}
	v := reflect.New(t)
	if !n.Decode(v.Interface()) {
		panic("node: bad bound " + text + " for " + t.String())
	}
	return v.Elem()
}

func compare(a, b reflect.Value) int {
	switch {
	case a.CanInt():
		return sign(a.Int() > b.Int(), a.Int() < b.Int())
	case a.CanUint():
		return sign(a.Uint() > b.Uint(), a.Uint() < b.Uint())
	case a.CanFloat():
		return sign(a.Float() > b.Float(), a.Float() < b.Float())
	}
	panic("node: bounds on a " + a.Type().String())
}

func sign(more, less bool) int {
	switch {
	case more:
		return 1
	case less:
		return -1
	}
	return 0
}

// DecodeField decodes the node into the value that v points to by the tags of
// the field with this name in the struct that owner points to.
func (n *Node) DecodeField(v, owner any, name string) {
	info := n.doc.structInfo(reflect.TypeOf(owner).Elem())
	n.decode(reflect.ValueOf(v).Elem(), info.byName[name])
}
