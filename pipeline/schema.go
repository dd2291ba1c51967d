package pipeline

import (
	"bytes"
	"encoding"
	"encoding/json"
	"fmt"
	"reflect"

	"github.com/waybill-dev/waybill/pipeline/internal/node"
)

// Docs finds the comments of config types in their source. It is used when the
// schema and the reference are generated, never at run time.
type Docs interface {
	// Field returns the comment of a struct's field, or "".
	Field(owner reflect.Type, name string) string
	// Type returns the comment of a type, or "".
	Type(t reflect.Type) string
}

// Schema renders the JSON Schema (draft 2020-12) of pipeline files with the
// stages of set, for editors. The loader is stricter in what a schema cannot
// say: expressions, names, the order of the stages.
func Schema(set *Set, docs Docs) ([]byte, error) {
	defs := object{"reference": object{
		"description": "A value from the environment or a file, resolved when the pipeline is loaded.",
		"type":        "string", "pattern": `\$\{(env|file):`,
	}}
	b := &schemaBuilder{docs: docs, defs: defs}
	kinds := object{}
	var oneKind []any
	for _, d := range set.defs {
		defs[d.Kind] = b.config(d)
		kinds[d.Kind] = object{"$ref": "#/$defs/" + d.Kind}
		oneKind = append(oneKind, object{"required": []string{d.Kind}})
	}
	stage := b.structure(reflect.TypeFor[common](), reflect.ValueOf(common{OnError: OnErrorRetry}))
	for k, v := range kinds {
		stage["properties"].(object)[k] = v
	}
	stage["oneOf"] = oneKind
	defs["stage"] = stage

	top := b.structure(reflect.TypeFor[document](), reflect.ValueOf(document{Run: DefaultRun()}))
	properties := top["properties"].(object)
	properties["waybill"].(object)["const"] = Version
	properties["name"].(object)["pattern"] = nameSyntax.String()
	list := properties["stages"].(object)
	list["type"], list["minItems"], list["items"] = "array", 1, object{"$ref": "#/$defs/stage"}
	top["$schema"] = "https://json-schema.org/draft/2020-12/schema"
	top["title"] = "Waybill pipeline"
	top["$defs"] = defs

	var buf bytes.Buffer
	enc := json.NewEncoder(&buf)
	enc.SetEscapeHTML(false)
	enc.SetIndent("", "  ")
	if err := enc.Encode(top); err != nil {
		return nil, fmt.Errorf("render the schema: %w", err)
	}
	return buf.Bytes(), nil
}

type object = map[string]any

type schemaBuilder struct {
	docs Docs
	defs object         // by name
	open []reflect.Type // structs that the walk is inside of
}

// config is the schema of what stands behind a kind. It may be left out if it
// has no required key.
func (b *schemaBuilder) config(d Def) object {
	s := b.value(d.Config, reflect.ValueOf(d.defaults), nil)
	if s["type"] == "object" && s["required"] == nil {
		s["type"] = []string{"object", "null"}
	}
	s["description"] = d.Doc
	return s
}

// structure is the schema of a struct. defaults is its value before decoding;
// it may be invalid.
func (b *schemaBuilder) structure(t reflect.Type, defaults reflect.Value) object {
	b.open = append(b.open, t)
	defer func() { b.open = b.open[:len(b.open)-1] }()
	properties := object{}
	var required []string
	for _, f := range node.StructFields(t) {
		var preset reflect.Value
		if defaults.IsValid() {
			preset = defaults.FieldByIndex(f.Index)
		}
		s := b.value(f.Type, preset, &f)
		if b.docs != nil {
			if doc := b.docs.Field(f.Owner, f.GoName); doc != "" {
				s["description"] = doc
			}
		}
		if text, ok := defaultText(preset); ok && f.Optional {
			s["default"] = text
		}
		if properties[f.Name] = s; !f.Optional {
			required = append(required, f.Name)
		}
	}
	out := object{"type": "object", "properties": properties, "additionalProperties": false}
	if required != nil {
		out["required"] = required
	}
	return out
}

// value is the schema of one value. f may be nil.
func (b *schemaBuilder) value(t reflect.Type, preset reflect.Value, f *node.FieldInfo) object {
	if t.Kind() == reflect.Pointer {
		if preset.IsValid() && !preset.IsNil() {
			return b.value(t.Elem(), preset.Elem(), f)
		}
		return b.value(t.Elem(), reflect.Value{}, f)
	}
	if u, ok := asUnion(t); ok {
		return b.union(t, u)
	}
	if forms, ok := asForms(t); ok {
		var any []object
		for _, form := range forms {
			any = append(any, b.value(form, reflect.Value{}, nil))
		}
		return object{"anyOf": any}
	}
	if own, ok := ownSchema(t); ok {
		return own
	}
	switch t.Kind() {
	case reflect.Struct:
		for _, o := range b.open {
			if o == t {
				return object{"type": "object"}
			}
		}
		return b.structure(t, preset)
	case reflect.Slice:
		return object{"type": "array", "items": b.value(t.Elem(), reflect.Value{}, elementOf(f))}
	case reflect.Map:
		return object{"type": "object", "additionalProperties": b.value(t.Elem(), reflect.Value{}, elementOf(f))}
	case reflect.Interface:
		return object{}
	}
	return scalarSchema(t, f)
}

// ownSchema asks types that decode themselves.
func ownSchema(t reflect.Type) (object, bool) {
	v := reflect.New(t).Interface()
	if p, ok := v.(SchemaProvider); ok {
		var s object
		if err := json.Unmarshal(p.NodeSchema(), &s); err != nil {
			panic("pipeline: the schema of " + t.String() + " is not a JSON object: " + err.Error())
		}
		if s["pattern"] != nil || s["anyOf"] != nil {
			return orReference(s), true
		}
		return s, true
	}
	_, ok := v.(NodeUnmarshaler)
	return object{}, ok
}

func orReference(s object) object {
	return object{"anyOf": []any{s, object{"$ref": "#/$defs/reference"}}}
}

func scalarSchema(t reflect.Type, f *node.FieldInfo) object {
	s := object{}
	switch t.Kind() {
	case reflect.String:
		if s["type"] = "string"; f == nil || f.Enum == nil {
			return s
		}
		s["enum"] = f.Enum
	case reflect.Bool:
		s["type"] = "boolean"
	case reflect.Float32, reflect.Float64:
		s["type"] = "number"
	default:
		s["type"] = "integer"
	}
	if f != nil && f.Min != "" {
		s["minimum"] = json.Number(f.Min)
	}
	if f != nil && f.Max != "" {
		s["maximum"] = json.Number(f.Max)
	}
	return orReference(s)
}

func elementOf(f *node.FieldInfo) *node.FieldInfo {
	if f == nil {
		return nil
	}
	return &node.FieldInfo{Enum: f.Enum}
}

// defaultText is a default as it would be written in a file; ok is false for
// zero values and structures, which say nothing.
func defaultText(v reflect.Value) (any, bool) {
	if !v.IsValid() || v.IsZero() || v.Kind() == reflect.Pointer {
		return nil, false
	}
	if m, ok := v.Interface().(encoding.TextMarshaler); ok {
		text, err := m.MarshalText()
		return string(text), err == nil
	}
	switch v.Kind() {
	case reflect.Struct, reflect.Map, reflect.Interface, reflect.Func:
		return nil, false
	}
	return v.Interface(), true
}
