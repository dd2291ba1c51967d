package pipeline

import (
	"bytes"
	"fmt"
	"reflect"
	"slices"
	"strings"

	"github.com/waybill-dev/waybill/pipeline/internal/node"
)

// Reference renders the reference page of pipeline files with the stages of
// set, in Markdown: one table of keys for the file, for what all stages share,
// and for each stage.
func Reference(set *Set, docs Docs) []byte {
	r := &referencePage{docs: docs}
	r.line("# Pipeline files: reference\n\nGenerated from the source by `make generate`. The same comments are in the JSON Schema (`waybill schema`).\n")
	r.line("## The file\n")
	r.table(reflect.TypeFor[document](), reflect.ValueOf(document{Run: DefaultRun()}))
	r.line("## Every stage\n\nA stage is a mapping with exactly one kind and any of these keys.\n")
	r.table(reflect.TypeFor[common](), reflect.ValueOf(common{OnError: OnErrorRetry}))
	for _, d := range set.defs {
		r.stage(d)
	}
	r.expressions()
	return r.Bytes()
}

type referencePage struct {
	bytes.Buffer
	docs Docs
	own  []reflect.Type // types of the current table that decode themselves
	told []reflect.Type // those that were explained already
}

func (r *referencePage) line(format string, args ...any) {
	fmt.Fprintf(&r.Buffer, format+"\n", args...)
}

func (r *referencePage) stage(d Def) {
	r.line("## %s\n", d.Kind)
	note := map[Role]string{RoleSource: " It is a source: the first stage.", RoleDistributor: " It is the second stage."}[d.Role]
	r.line("The stage %s.%s\n", strings.TrimSuffix(d.Doc, "."), note)
	r.table(d.Config, reflect.ValueOf(d.defaults))
}

// table lists the keys of a struct, nested ones with their path.
func (r *referencePage) table(t reflect.Type, defaults reflect.Value) {
	if _, own := reflect.New(t).Interface().(NodeUnmarshaler); own || t.Kind() != reflect.Struct {
		return
	}
	if len(node.StructFields(t)) == 0 {
		r.line("It has no keys.\n")
		return
	}
	r.line("| key | value | default | |\n|---|---|---|---|")
	r.rows("", t, defaults, nil)
	r.line("")
	for len(r.own) > 0 {
		own := r.own[0]
		r.own = r.own[1:]
		r.ownType(own)
	}
}

// ownType explains a type that decodes itself, below the table that names it.
func (r *referencePage) ownType(t reflect.Type) {
	if r.told = append(r.told, t); slices.Contains(r.told[:len(r.told)-1], t) {
		return
	}
	if u, ok := asUnion(t); ok {
		r.union(typeTitle(t), u)
		return
	}
	if doc := paragraph(r.docs.Type(t)); doc != "" {
		r.line("*%s*: %s\n", typeTitle(t), doc)
	}
}

// typeTitle is how a type that decodes itself is called in the tables.
func typeTitle(t reflect.Type) string { return strings.ToLower(t.Name()) }

func (r *referencePage) rows(prefix string, t reflect.Type, defaults reflect.Value, open []reflect.Type) {
	if slices.Contains(open, t) {
		return
	}
	open = append(open, t)
	for _, f := range node.StructFields(t) {
		var preset reflect.Value
		if defaults.IsValid() {
			preset = defaults.FieldByIndex(f.Index)
		}
		doc := ""
		if r.docs != nil {
			doc = r.docs.Field(f.Owner, f.GoName)
		}
		r.line("| `%s` | %s | %s | %s |", prefix+f.Name, valueName(f.Type, &f), presetText(f, preset), strings.ReplaceAll(doc, "|", `\|`))
		r.nested(prefix+f.Name, f.Type, preset, open)
	}
}

// nested lists the keys of structs inside a field.
func (r *referencePage) nested(path string, t reflect.Type, preset reflect.Value, open []reflect.Type) {
	for {
		if _, own := reflect.New(t).Interface().(NodeUnmarshaler); own {
			break
		}
		switch t.Kind() {
		case reflect.Pointer:
			t, preset = t.Elem(), reflect.Value{}
			continue
		case reflect.Slice:
			t, preset, path = t.Elem(), reflect.Value{}, path+"[]"
			continue
		case reflect.Map:
			t, preset, path = t.Elem(), reflect.Value{}, path+".*"
			continue
		}
		break
	}
	_, own := reflect.New(t).Interface().(NodeUnmarshaler)
	forms, several := asForms(t)
	switch {
	case several:
		for _, form := range forms {
			r.nested(path, form, reflect.Value{}, open)
		}
	case own && t.PkgPath() != reflect.TypeFor[Plan]().PkgPath() && r.docs != nil && !slices.Contains(r.own, t):
		r.own = append(r.own, t)
	case !own && t.Kind() == reflect.Struct:
		r.rows(path+".", t, preset, open)
	}
}

func presetText(f node.FieldInfo, preset reflect.Value) string {
	if !f.Optional {
		return "required"
	}
	if v, ok := defaultText(preset); ok {
		return "`" + strings.Trim(fmt.Sprint(v), "[]") + "`"
	}
	return ""
}

// valueName says what a key takes, for people.
func valueName(t reflect.Type, f *node.FieldInfo) string {
	if f != nil && f.Enum != nil && t.Kind() == reflect.String {
		return "`" + strings.Join(f.Enum, "` `") + "`"
	}
	switch t {
	case reflect.TypeFor[Duration]():
		return "duration"
	case reflect.TypeFor[Range]():
		return "range of durations"
	case reflect.TypeFor[Bytes]():
		return "size"
	case reflect.TypeFor[Count]():
		return "count"
	case reflect.TypeFor[Expr]():
		return "expression"
	case reflect.TypeFor[Condition]():
		return "condition"
	case reflect.TypeFor[Template]():
		return "any, with `${{ }}`"
	case reflect.TypeFor[stageNodes]():
		return "list of stages"
	}
	if forms, ok := asForms(t); ok {
		var names []string
		for _, form := range forms {
			names = append(names, valueName(form, nil))
		}
		return strings.Join(names, ", or ")
	}
	if _, own := reflect.New(t).Interface().(NodeUnmarshaler); own {
		return typeTitle(t)
	}
	switch t.Kind() {
	case reflect.Pointer:
		return valueName(t.Elem(), f)
	case reflect.Slice:
		return "list of " + valueName(t.Elem(), elementOf(f))
	case reflect.Map:
		return "mapping to " + valueName(t.Elem(), elementOf(f))
	case reflect.Struct:
		return "mapping"
	case reflect.String:
		return "text"
	case reflect.Bool:
		return "true or false"
	case reflect.Float32, reflect.Float64:
		return "number" + bounds(f)
	case reflect.Interface:
		return "any"
	}
	return "whole number" + bounds(f)
}

func bounds(f *node.FieldInfo) string {
	switch {
	case f == nil || f.Min == "" && f.Max == "":
		return ""
	case f.Max == "":
		return ", at least " + f.Min
	case f.Min == "":
		return ", at most " + f.Max
	}
	return ", " + f.Min + " to " + f.Max
}

func (r *referencePage) expressions() {
	r.line("## Expressions\n")
	r.line("`${{ ... }}`, `when:` and every key of the kind *expression* take [expr-lang](https://expr-lang.org/docs/language-definition), typed against the item:")
	r.line("`item.id`, `item.key`, `item.queue`, `item.priority`, `item.attempt`, `item.token`, `item.body`, `item.meta.NAME`, `item.artifacts[NAME]` with `.size`, `.mediaType` and `.digest`.\n")
	var theirs []string
	r.line("| function | |\n|---|---|")
	for _, f := range Functions() {
		if f.Doc == "" {
			theirs = append(theirs, "`"+f.Name+"`")
			continue
		}
		r.line("| `%s` | %s |", f.Name, f.Doc)
	}
	r.line("\nOf expr-lang's own functions these are allowed: %s.", strings.Join(theirs, ", "))
}
