package manifest

import (
	"cmp"
	"encoding/json"
	"fmt"
	"maps"
	"math/big"
	"net/url"
	"slices"
	"strconv"
	"strings"

	"github.com/santhosh-tekuri/jsonschema/v6"
	"github.com/santhosh-tekuri/jsonschema/v6/kind"

	"github.com/waybill-dev/waybill/pipeline"
)

// explainer turns the library's errors into problems. It says what would be
// right and never what is there: a value may be a secret.
type explainer struct {
	schema   any // nil if it is not at hand
	instance any
	found    []Problem
}

// explain lists the findings in the order of their paths; the library has them
// in the order of a map.
func explain(e *jsonschema.ValidationError, schema, instance any) []Problem {
	x := explainer{schema: schema, instance: instance}
	x.walk(e)
	slices.SortStableFunc(x.found, func(a, b Problem) int {
		return cmp.Or(strings.Compare(a.Path, b.Path), strings.Compare(a.Message, b.Message))
	})
	return slices.Compact(x.found)
}

func (x *explainer) walk(e *jsonschema.ValidationError) {
	at := x.location(e.InstanceLocation)
	add := func(at path, code, hint, format string, args ...any) {
		x.found = append(x.found, Problem{at.String(), fmt.Sprintf(format, args...), code, hint})
	}
	switch k := e.ErrorKind.(type) {
	case *kind.AnyOf:
		add(at, pipeline.CodeBadValue, "", "fits none of its forms: %s", x.forms(e.Causes))
	case *kind.OneOf:
		if len(k.Subschemas) > 0 {
			add(at, pipeline.CodeBadValue, "", "fits more than one of forms that exclude each other")
			return
		}
		add(at, pipeline.CodeBadValue, "", "fits none of its forms: %s", x.forms(e.Causes))
	case *kind.AdditionalProperties:
		known := x.properties(e.SchemaURL)
		slices.Sort(k.Properties)
		for _, name := range k.Properties[:min(len(k.Properties), maxUnknown)] {
			add(at.key(name), pipeline.CodeUnknownKey, suggest(name, known), "unknown key %q", name)
		}
	case *kind.FalseSchema:
		add(at, pipeline.CodeUnknownKey, "", "this cannot stand here")
	case *kind.Required:
		for _, name := range k.Missing {
			add(at.key(name), pipeline.CodeMissingKey, "", "the key %q is required", name)
		}
	case *kind.DependentRequired:
		for _, name := range k.Missing {
			add(at.key(name), pipeline.CodeMissingKey, "", "the key %q is required beside %q", name, k.Prop)
		}
	case *kind.PropertyNames:
		add(at.key(k.Property), pipeline.CodeUnknownKey, "", "%q cannot be a key here", k.Property)
	default:
		if code, message := sentence(e.ErrorKind); message != "" {
			add(at, code, "", "%s", message)
			return
		}
		for _, cause := range e.Causes {
			x.walk(cause)
		}
	}
}

// maxUnknown is how many unknown keys of one object are told.
const maxUnknown = 100

// maxForms is how many alternatives are told.
const maxForms = 4

// forms says for each alternative what was wrong first.
func (x *explainer) forms(branches []*jsonschema.ValidationError) string {
	var said []string
	for _, b := range branches {
		if first := explain(b, x.schema, x.instance); len(first) > 0 && !slices.Contains(said, first[0].Message) {
			said = append(said, first[0].Message)
		}
	}
	if len(said) > maxForms {
		said = append(said[:maxForms], "...")
	}
	return strings.Join(said, "; ")
}

// sentence says what a value must be; nothing for errors that only group
// others.
func sentence(k jsonschema.ErrorKind) (code, message string) {
	bad := func(format string, args ...any) (string, string) {
		return pipeline.CodeBadValue, fmt.Sprintf(format, args...)
	}
	far := func(format string, args ...any) (string, string) {
		return pipeline.CodeOutOfRange, fmt.Sprintf(format, args...)
	}
	switch k := k.(type) {
	case *kind.Type:
		return pipeline.CodeWrongType, fmt.Sprintf("want %s, got %s", strings.Join(k.Want, " or "), k.Got)
	case *kind.Enum:
		return bad("want one of %s", shown(k.Want))
	case *kind.Const:
		return bad("want %s", shown([]any{k.Want}))
	case *kind.Pattern:
		return bad("must match %s", k.Want)
	case *kind.Format:
		return bad("is not a %s", k.Want)
	case *kind.ContentEncoding:
		return bad("is not %s", k.Want)
	case *kind.Not:
		return bad("is what the schema excludes")
	case *kind.Contains:
		return bad("no element is as the schema wants one")
	case *kind.MinContains:
		return bad("too few elements are as the schema wants %d", k.Want)
	case *kind.MaxContains:
		return bad("more than %d elements are as the schema wants them", k.Want)
	case *kind.UniqueItems:
		return bad("elements %d and %d are equal", k.Duplicates[0], k.Duplicates[1])
	case *kind.MultipleOf:
		return bad("must be a multiple of %s", number(k.Want))
	case *kind.Minimum:
		return far("must be at least %s", number(k.Want))
	case *kind.Maximum:
		return far("must be at most %s", number(k.Want))
	case *kind.ExclusiveMinimum:
		return far("must be more than %s", number(k.Want))
	case *kind.ExclusiveMaximum:
		return far("must be less than %s", number(k.Want))
	case *kind.MinLength:
		return far("must have %d characters at least", k.Want)
	case *kind.MaxLength:
		return far("must have %d characters at most", k.Want)
	case *kind.MinItems:
		return far("must have %d elements at least", k.Want)
	case *kind.MaxItems:
		return far("must have %d elements at most", k.Want)
	case *kind.MinProperties:
		return far("must have %d keys at least", k.Want)
	case *kind.MaxProperties:
		return far("must have %d keys at most", k.Want)
	case *kind.RefCycle, *kind.InvalidJsonValue:
		return bad("cannot be checked")
	}
	return "", ""
}

// number renders a bound, exactly if it is short.
func number(r *big.Rat) string {
	if r.IsInt() {
		return r.Num().String()
	}
	f, _ := r.Float64()
	return strconv.FormatFloat(f, 'g', -1, 64)
}

// shown renders the values that a schema allows.
func shown(values []any) string {
	const most = 20
	var out []string
	for i, v := range values {
		if i == most {
			out = append(out, "...")
			break
		}
		b, _ := json.Marshal(v) // it came from JSON
		out = append(out, string(b))
	}
	return strings.Join(out, ", ")
}

// location makes a path of the library's steps, which are all text.
func (x *explainer) location(steps []string) path {
	at, v := make(path, 0, len(steps)), x.instance
	for _, step := range steps {
		if _, list := v.([]any); list {
			i, _ := strconv.Atoi(step)
			at = append(at, i)
		} else {
			at = append(at, step)
		}
		v = child(v, step)
	}
	return at
}

// properties lists the keys that the schema at a location knows.
func (x *explainer) properties(location string) []string {
	v := x.schema
	_, pointer, _ := strings.Cut(location, "#")
	pointer, _ = url.PathUnescape(pointer)
	for _, step := range strings.Split(pointer, "/")[1:] {
		v = child(v, strings.NewReplacer("~1", "/", "~0", "~").Replace(step))
	}
	obj, _ := v.(map[string]any)
	properties, _ := obj["properties"].(map[string]any)
	return slices.Sorted(maps.Keys(properties))
}

// child returns an element of a JSON value, nil if there is none.
func child(v any, step string) any {
	switch v := v.(type) {
	case map[string]any:
		return v[step]
	case []any:
		if i, err := strconv.Atoi(step); err == nil && i >= 0 && i < len(v) {
			return v[i]
		}
	}
	return nil
}

func suggest(name string, known []string) string {
	switch near := pipeline.Nearest(name, known); {
	case near != "":
		return "did you mean " + near + "?"
	case len(known) > 0:
		return "known: " + strings.Join(known, ", ")
	}
	return ""
}
