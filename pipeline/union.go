package pipeline

import (
	"maps"
	"reflect"
	"slices"
	"strings"

	"github.com/waybill-dev/waybill/pipeline/internal/node"
)

// Union is implemented by config types that decode themselves from a mapping
// with exactly one of several names, such as a step of execute. The schema and
// the reference show what stands behind each name.
type Union interface {
	NodeUnmarshaler
	// Variants returns what stands behind each name, and the struct of the keys
	// that may stand beside any of them.
	Variants() (byName map[string]Variant, common reflect.Type)
}

// Variant is one of a union's forms.
type Variant struct {
	// Type is the config type behind the name.
	Type reflect.Type
	// Short is the type of a scalar or list that may be written in place of
	// the mapping (of each value, if Type is a map); nil if there is none.
	Short reflect.Type
}

// Forms is implemented by config types that decode themselves from a value of
// one of several types, such as a list or the name of a file that holds it.
type Forms interface {
	NodeUnmarshaler
	// Forms returns the types.
	Forms() []reflect.Type
}

// asForms returns t's forms, or ok false.
func asForms(t reflect.Type) (forms []reflect.Type, ok bool) {
	f, ok := reflect.New(t).Interface().(Forms)
	if !ok {
		return nil, false
	}
	return f.Forms(), true
}

// asUnion returns t's variants, or ok false.
func asUnion(t reflect.Type) (u Union, ok bool) {
	u, ok = reflect.New(t).Interface().(Union)
	return u, ok
}

// union refers to the definition of a union, which may hold itself, and makes it
// at first.
func (b *schemaBuilder) union(t reflect.Type, u Union) object {
	name := typeTitle(t)
	if b.defs[name] == nil {
		b.defs[name] = object{} // found by what is inside
		b.defs[name] = b.oneOf(u)
	}
	return object{"$ref": "#/$defs/" + name}
}

// oneOf is the schema of a mapping with one of the names.
func (b *schemaBuilder) oneOf(u Union) object {
	variants, common := u.Variants()
	out := b.structure(common, reflect.Value{})
	var one []any
	for _, name := range slices.Sorted(maps.Keys(variants)) {
		v := variants[name]
		s := b.value(v.Type, reflect.Value{}, nil)
		if s["type"] == "object" && s["required"] == nil {
			s["type"] = []string{"object", "null"} // "- reload:"
		}
		switch {
		case v.Short == nil:
		case v.Type.Kind() == reflect.Map:
			s["additionalProperties"] = object{"anyOf": []any{b.value(v.Short, reflect.Value{}, nil), s["additionalProperties"]}}
		default:
			s = object{"anyOf": []any{b.value(v.Short, reflect.Value{}, nil), s}}
		}
		if b.docs != nil {
			s["description"] = paragraph(b.docs.Type(v.Type))
		}
		out["properties"].(object)[name] = s
		one = append(one, object{"required": []string{name}})
	}
	out["oneOf"] = one
	return out
}

// union lists the keys of each variant under a heading of its own.
func (r *referencePage) union(title string, u Union) {
	variants, common := u.Variants()
	r.line("### Every %s\n", title)
	if len(node.StructFields(common)) == 0 {
		r.line("A %s is a mapping with exactly one of the names below.\n", title)
	} else {
		r.line("A %s is a mapping with exactly one of the names below and any of these keys.\n", title)
		r.keys(common)
	}
	for _, name := range slices.Sorted(maps.Keys(variants)) {
		v := variants[name]
		r.line("### %s `%s`\n", title, name)
		doc := paragraph(r.docs.Type(v.Type))
		r.line("The %s %s\n", title, strings.TrimPrefix(doc, v.Type.Name()+" "))
		r.variant(name, v)
	}
}

func (r *referencePage) variant(name string, v Variant) {
	if v.Type.Kind() == reflect.Map {
		if v.Short == nil {
			r.line("It is a mapping of names, each to a %s.\n", valueName(v.Type.Elem(), nil))
			return
		}
		r.line("It is a mapping of names to these keys, or to just the first of them.\n")
		r.keys(v.Type.Elem())
		return
	}
	if v.Short != nil {
		r.line("`%s:` may be followed by just the first key's value.\n", name)
	}
	r.keys(v.Type)
}

// keys is a table of a struct's keys without defaults of its own.
func (r *referencePage) keys(t reflect.Type) {
	r.line("| key | value | default | |\n|---|---|---|---|")
	r.rows("", t, reflect.Value{}, nil)
	r.line("")
}

// paragraph puts a comment on one line.
func paragraph(comment string) string { return strings.Join(strings.Fields(comment), " ") }
