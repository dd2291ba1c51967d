package manifest

import (
	"maps"
	"regexp"
	"slices"

	"github.com/waybill-dev/waybill/pipeline"
)

// objectRules are the keywords for objects.
type objectRules struct {
	size        bounds
	required    []string
	needs       map[string][]string // dependentRequired
	beside      map[string]*rules   // dependentSchemas
	names       *rules              // propertyNames
	properties  map[string]*rules
	patterns    []pattern // patternProperties
	additional  *rules
	unevaluated *rules
}

// pattern is one of patternProperties.
type pattern struct {
	expr  *regexp.Regexp
	rules *rules
}

func (c *compiler) objectRules(doc map[string]any) objectRules {
	o := objectRules{
		size:     boundsOf(doc, "minProperties", "maxProperties"),
		required: texts(doc["required"]), needs: map[string][]string{},
		beside: c.named(doc, "dependentSchemas"), names: c.one(doc, "propertyNames"), properties: c.named(doc, "properties"),
		additional: c.one(doc, "additionalProperties"), unevaluated: c.one(doc, "unevaluatedProperties"),
	}
	needs, _ := doc["dependentRequired"].(map[string]any)
	for name, list := range needs {
		o.needs[name] = texts(list)
	}
	matched := c.named(doc, "patternProperties")
	for _, expr := range slices.Sorted(maps.Keys(matched)) {
		o.patterns = append(o.patterns, pattern{regexp.MustCompile(expr), matched[expr]})
	}
	return o
}

func (e *evaluator) object(o *objectRules, v map[string]any, seen *covered) {
	e.count(len(v), o.size, "keys")
	for _, name := range o.required {
		if _, ok := v[name]; !ok {
			e.reportAt(e.at.key(name), pipeline.CodeMissingKey, "", "the key %q is required", name)
		}
	}
	e.dependent(o, v, seen)
	if len(o.properties)+len(o.patterns) == 0 && o.additional == nil && o.names == nil {
		return
	}
	unknown := 0
	for _, name := range slices.Sorted(maps.Keys(v)) {
		if e.decided() {
			return
		}
		if e.property(o, name, v[name], seen) {
			if unknown++; unknown <= maxUnknown {
				e.reportAt(e.at.key(name), pipeline.CodeUnknownKey, e.hint(o, name), "unknown key %q", name)
			}
		}
	}
}

// maxUnknown is how many unknown keys of one object are told.
const maxUnknown = 100

func (e *evaluator) hint(o *objectRules, name string) string {
	if e.quiet {
		return ""
	}
	return suggest(name, slices.Sorted(maps.Keys(o.properties)))
}

// property holds a key and what is behind it against all that speaks of them.
// It reports whether the key is unknown and must not be.
func (e *evaluator) property(o *objectRules, name string, v any, seen *covered) (unknown bool) {
	if o.names != nil {
		if _, ok := e.try(o.names, name, nil, true); !ok {
			e.reportAt(e.at.key(name), pipeline.CodeUnknownKey, "", "%q cannot be a key here", name)
		}
	}
	r, known := o.properties[name]
	if known {
		e.below(name, r, v)
	}
	for _, p := range o.patterns {
		if p.expr.MatchString(name) {
			known = true
			e.below(name, p.rules, v)
		}
	}
	switch {
	case known:
	case o.additional == nil:
		return false
	case o.additional.never:
		return true
	default:
		e.below(name, o.additional, v)
	}
	seen.name(name)
	return false
}

// dependent looks at what one key demands of the others.
func (e *evaluator) dependent(o *objectRules, v map[string]any, seen *covered) {
	for _, name := range slices.Sorted(maps.Keys(o.needs)) {
		if _, ok := v[name]; !ok {
			continue
		}
		for _, other := range o.needs[name] {
			if _, ok := v[other]; !ok {
				e.reportAt(e.at.key(other), pipeline.CodeMissingKey, "", "the key %q is required beside %q", other, name)
			}
		}
	}
	for _, name := range slices.Sorted(maps.Keys(o.beside)) {
		if _, ok := v[name]; ok {
			e.value(o.beside[name], v, seen)
		}
	}
}
