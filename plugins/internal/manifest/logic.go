package manifest

import (
	"slices"
	"strings"

	"github.com/waybill-dev/waybill/pipeline"
)

// logicRules join schemas that look at the same value.
type logicRules struct {
	allOf, anyOf, oneOf []*rules
	not                 *rules
	when, then, without *rules // if, then, else
}

func (c *compiler) logicRules(doc map[string]any) logicRules {
	return logicRules{
		allOf: c.several(doc, "allOf"), anyOf: c.several(doc, "anyOf"), oneOf: c.several(doc, "oneOf"), not: c.one(doc, "not"),
		when: c.one(doc, "if"), then: c.one(doc, "then"), without: c.one(doc, "else"),
	}
}

func (e *evaluator) logic(l *logicRules, v any, seen *covered) {
	for _, r := range l.allOf {
		e.value(r, v, seen)
	}
	if l.anyOf != nil {
		e.anyOf(l.anyOf, v, seen)
	}
	if l.oneOf != nil {
		e.oneOf(l.oneOf, v, seen)
	}
	if l.not != nil {
		if _, ok := e.try(l.not, v, seen, true); ok {
			e.report(pipeline.CodeBadValue, "is what the schema excludes")
		}
	}
	if l.when != nil {
		e.conditional(l, v, seen)
	}
}

func (e *evaluator) anyOf(forms []*rules, v any, seen *covered) {
	var failures []string
	for _, r := range forms {
		message, ok := e.try(r, v, seen, false)
		if ok && seen == nil {
			return
		}
		if !ok {
			failures = append(failures, message)
		}
	}
	if len(failures) == len(forms) {
		e.report(pipeline.CodeBadValue, "fits none of its forms: %s", alternatives(failures))
	}
}

func (e *evaluator) oneOf(forms []*rules, v any, seen *covered) {
	var failures []string
	matched := false
	for _, r := range forms {
		message, ok := e.try(r, v, seen, matched)
		if ok && matched {
			e.report(pipeline.CodeBadValue, "fits more than one of forms that exclude each other")
			return
		}
		matched = matched || ok
		failures = append(failures, message)
	}
	if !matched {
		e.report(pipeline.CodeBadValue, "fits none of its forms: %s", alternatives(failures))
	}
}

func (e *evaluator) conditional(l *logicRules, v any, seen *covered) {
	branch := l.then
	if _, ok := e.try(l.when, v, seen, true); !ok {
		branch = l.without
	}
	if branch != nil {
		e.value(branch, v, seen)
	}
}

// maxForms is how many alternatives are told.
const maxForms = 4

// alternatives says for each form what was wrong first.
func alternatives(failures []string) string {
	var said []string
	for _, message := range failures {
		if !slices.Contains(said, message) {
			said = append(said, message)
		}
	}
	if len(said) > maxForms {
		said = append(said[:maxForms], "...")
	}
	return strings.Join(said, "; ")
}
