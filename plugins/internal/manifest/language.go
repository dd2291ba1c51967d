package manifest

import (
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/waybill-dev/waybill/pipeline"
)

// The part of JSON Schema 2020-12 that a kernel's configuration may be described
// with. It has no references but to #/$defs/name and no recursion, so that what
// a check can cost is known before it starts, and no keyword that is silently
// ignored.

// draft is the only value of $schema.
const draft = "https://json-schema.org/draft/2020-12/schema"

// defsPrefix begins every reference.
const defsPrefix = "#/$defs/"

// Bounds of the schemas in a schema, itself included.
const (
	maxWritten  = 2_000
	maxExpanded = 10_000 // with references expanded
)

// operand is what stands behind a keyword.
type operand byte

const (
	data    operand = iota // no schema
	one                    // a schema
	several                // a list of schemas
	named                  // a map of schemas
	matched                // a map of schemas by regular expressions
	regex                  // a regular expression
	ref                    // a reference to a schema
	ignored                // for people
)

// keywords lists the language.
func keywords() map[string]operand {
	return map[string]operand{
		"$comment": ignored, "title": ignored, "description": ignored, "default": ignored, "examples": ignored,
		"deprecated": ignored, "readOnly": ignored, "writeOnly": ignored, "format": ignored,
		"contentEncoding": ignored, "contentMediaType": ignored,

		"type": data, "enum": data, "const": data, "multipleOf": data, "maximum": data, "exclusiveMaximum": data,
		"minimum": data, "exclusiveMinimum": data, "maxLength": data, "minLength": data, "pattern": regex,
		"maxItems": data, "minItems": data, "uniqueItems": data, "maxContains": data, "minContains": data,
		"maxProperties": data, "minProperties": data, "required": data, "dependentRequired": data, "$schema": data,

		"additionalProperties": one, "items": one, "contains": one, "not": one, "if": one, "then": one, "else": one,
		"propertyNames": one, "unevaluatedProperties": one, "unevaluatedItems": one,
		"allOf": several, "anyOf": several, "oneOf": several, "prefixItems": several,
		"properties": named, "patternProperties": matched, "dependentSchemas": named, "$defs": named,
		"$ref": ref,
	}
}

// cost is what a check against a schema takes, with references expanded.
type cost struct{ schemas, bytes int }

// linter checks that a schema stays inside the language and measures it.
type linter struct {
	keywords map[string]operand
	defs     map[string]any
	measured map[string]cost // of definitions
	open     []string        // definitions that the walk is inside of
	written  int             // schemas seen so far
	patterns int             // size of the patterns seen so far
	found    []Problem
}

// lint lists what a schema uses beyond the language, and what one check costs.
func lint(doc map[string]any) (cost, []Problem) {
	l := linter{keywords: keywords(), measured: map[string]cost{}}
	l.defs, _ = doc["$defs"].(map[string]any)
	total := l.schema(doc, nil)
	for _, name := range slices.Sorted(maps.Keys(l.defs)) {
		l.definition(name, path{"$defs", name})
	}
	switch {
	case l.written > maxWritten:
		l.report(nil, pipeline.CodeOutOfRange, "", "more than %d schemas", maxWritten)
	case total.schemas > maxExpanded:
		l.report(nil, pipeline.CodeOutOfRange, "", "more than %d schemas, with references expanded", maxExpanded)
	}
	if l.patterns > maxPatterns {
		l.report(nil, pipeline.CodeOutOfRange, "write fewer and shorter repetitions", "the patterns are larger than %d, with repetitions expanded", maxPatterns)
	}
	return total, l.found
}

func (l *linter) report(at path, code, hint, format string, args ...any) {
	l.found = append(l.found, Problem{at.String(), fmt.Sprintf(format, args...), code, hint})
}

// schema walks one schema. Values of the wrong type are left to the
// metaschema, which refuses them.
func (l *linter) schema(v any, at path) cost {
	obj, ok := v.(map[string]any)
	total := cost{1, 1}
	if l.written++; !ok || l.written > maxWritten {
		return total
	}
	for _, name := range slices.Sorted(maps.Keys(obj)) {
		below := at.key(name)
		total.bytes += len(name)
		kind, known := l.keywords[name]
		switch {
		case !known:
			l.unknown(name, below)
		case name == "$schema" && (len(at) > 0 || obj[name] != draft):
			l.report(below, pipeline.CodeBadValue, "leave it out", "want %s, at the top only", draft)
		case name == "$defs" && len(at) > 0:
			l.report(below, pipeline.CodeBadValue, "move it to the top", "definitions stand at the top only")
		case name == "$defs": // counted where they are used
		default:
			total.add(l.operand(kind, obj[name], below))
		}
	}
	return total
}

func (l *linter) unknown(name string, at path) {
	hint := ""
	if near := pipeline.Nearest(name, slices.Sorted(maps.Keys(l.keywords))); near != "" {
		hint = "did you mean " + near + "?"
	}
	l.report(at, pipeline.CodeUnknownKey, hint, "this keyword cannot be used")
}

func (l *linter) operand(kind operand, v any, at path) (total cost) {
	switch kind {
	case data:
		raw, _ := json.Marshal(v) // it came from JSON
		total.bytes = len(raw)
	case one:
		return l.schema(v, at)
	case several:
		list, _ := v.([]any)
		for i := range list {
			total.add(l.schema(list[i], at.index(i)))
		}
	case regex:
		expr, _ := v.(string)
		return l.pattern(expr)
	case named, matched:
		schemas, _ := v.(map[string]any)
		for _, name := range slices.Sorted(maps.Keys(schemas)) {
			total.bytes += len(name)
			if kind == matched {
				total.add(l.pattern(name))
			}
			total.add(l.schema(schemas[name], at.key(name)))
		}
	case ref:
		return l.reference(v, at)
	case ignored:
	}
	return total
}

func (l *linter) pattern(expr string) cost {
	size := patternSize(expr)
	l.patterns = min(l.patterns+size, ceiling)
	return cost{bytes: max(size, len(expr))}
}

func (l *linter) reference(v any, at path) cost {
	text, ok := v.(string)
	name, local := strings.CutPrefix(text, defsPrefix)
	_, defined := l.defs[name]
	switch {
	case !ok:
		return cost{}
	case !local || strings.ContainsAny(name, "/~%#"):
		l.report(at, pipeline.CodeBadValue, "write "+defsPrefix+"name and define it there", "only definitions of this schema can be referred to, nothing is loaded")
		return cost{}
	case !defined:
		l.report(at, pipeline.CodeBadValue, "", "there is no definition %q", name)
		return cost{}
	case slices.Contains(l.open, name):
		l.report(at, pipeline.CodeBadValue, "write out as many levels as there can be", "the definition %q contains itself", name)
		return cost{}
	}
	return l.definition(name, path{"$defs", name})
}

// definition measures a definition once.
func (l *linter) definition(name string, at path) cost {
	if c, ok := l.measured[name]; ok {
		return c
	}
	l.open = append(l.open, name)
	c := l.schema(l.defs[name], at)
	l.open = l.open[:len(l.open)-1]
	l.measured[name] = c
	return c
}

// ceiling keeps sums far from overflow.
const ceiling = 1 << 40

func (c *cost) add(d cost) {
	c.schemas = min(c.schemas+d.schemas, ceiling)
	c.bytes = min(c.bytes+d.bytes, ceiling)
}
