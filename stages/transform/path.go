package transform

import (
	"fmt"
	"maps"
	"strings"
)

// path is a field to remove: body.a.b or meta.a.
type path struct {
	meta   bool
	fields []string
}

// parsePath reads body.a.b or meta.a. A metadata name may itself hold dots;
// the fields of a body may not.
func parsePath(text string) (path, error) {
	root, rest, ok := strings.Cut(text, ".")
	switch {
	case !ok || rest == "":
		return path{}, fmt.Errorf("%q names no field", text)
	case root == "meta":
		return path{meta: true, fields: []string{rest}}, nil
	case root != "body":
		return path{}, fmt.Errorf("%q starts with neither body nor meta", text)
	}
	fields := strings.Split(rest, ".")
	for _, f := range fields {
		if f == "" {
			return path{}, fmt.Errorf("%q has an empty field", text)
		}
	}
	return path{fields: fields}, nil
}

// without returns v without the field, copying the maps on the way to it: body
// values are shared and must not be changed in place.
func without(v any, fields []string) any {
	m, ok := v.(map[string]any)
	if !ok {
		return v
	}
	child, ok := m[fields[0]]
	if !ok {
		return v
	}
	out := maps.Clone(m)
	if len(fields) == 1 {
		delete(out, fields[0])
	} else {
		out[fields[0]] = without(child, fields[1:])
	}
	return out
}
