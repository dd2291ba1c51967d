package manifest

import (
	"cmp"
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/waybill-dev/waybill/pipeline"
)

// maxFound bounds the findings of one check: a list of a hundred thousand wrong
// elements is as wrong with the first thousand of them.
const maxFound = 1_000

// evaluator holds a value against rules and collects all that is wrong with it.
// It says what would be right and never what is there: a value may be a secret.
type evaluator struct {
	at     path // of the value
	failed int
	found  []Problem // maxFound of those that failed
	quiet  bool      // the verdict is all that is asked for
}

// evaluate lists what is wrong with a value, in the order of the paths.
func evaluate(r *rules, v any) []Problem {
	var e evaluator
	e.value(r, v, nil)
	return e.problems()
}

// problems returns the findings in order, none of them twice.
func (e *evaluator) problems() []Problem {
	slices.SortStableFunc(e.found, func(a, b Problem) int {
		return cmp.Or(strings.Compare(a.Path, b.Path), strings.Compare(a.Message, b.Message))
	})
	return slices.Compact(e.found)
}

// decided reports whether nothing more can be learnt.
func (e *evaluator) decided() bool { return e.quiet && e.failed > 0 }

func (e *evaluator) report(code, format string, args ...any) {
	e.reportAt(e.at, code, "", format, args...)
}

func (e *evaluator) reportAt(at path, code, hint, format string, args ...any) {
	e.failed++
	if !e.quiet && len(e.found) < maxFound {
		e.found = append(e.found, Problem{at.String(), fmt.Sprintf(format, args...), code, hint})
	}
}

// value holds one value against rules. What they have seen of it is added to
// seen, if the value fits.
func (e *evaluator) value(r *rules, v any, seen *covered) {
	if e.decided() || !e.fits(r, v) {
		return
	}
	before := e.failed
	var mine *covered
	if seen != nil || r.object.unevaluated != nil || r.list.unevaluated != nil {
		mine = new(covered)
	}
	if r.ref != nil {
		e.value(r.ref, v, mine)
	}
	switch v := v.(type) {
	case map[string]any:
		e.object(&r.object, v, mine)
	case []any:
		e.list(&r.list, v, mine)
	case string:
		e.text(&r.text, v)
	case json.Number:
		e.number(&r.number, v)
	}
	e.logic(&r.logic, v, mine)
	e.unevaluated(r, v, mine)
	if e.failed == before {
		seen.merge(mine)
	}
}

// fits looks at a value as a whole. If it is not what is wanted, its parts are
// not worth a word.
func (e *evaluator) fits(r *rules, v any) bool {
	switch got := typeOf(v); {
	case r.never:
		e.report(pipeline.CodeUnknownKey, "this cannot stand here")
	case r.types != nil && !slices.Contains(r.types, got) && !(slices.Contains(r.types, "integer") && isInteger(v)):
		e.report(pipeline.CodeWrongType, "want %s, got %s", strings.Join(r.types, " or "), got)
	case r.constant != nil && !r.constant.has(v):
		e.report(pipeline.CodeBadValue, "want %s", r.constant.words)
	case r.enum != nil && !r.enum.has(v):
		e.report(pipeline.CodeBadValue, "want one of %s", r.enum.words)
	default:
		return true
	}
	return false
}

// below holds an element of the value against rules.
func (e *evaluator) below(step any, r *rules, v any) {
	e.at = append(e.at, step)
	e.value(r, v, nil)
	e.at = e.at[:len(e.at)-1]
}

// try holds the value against rules without reporting anything. It returns the
// first finding's message, or "" if it is quiet.
func (e *evaluator) try(r *rules, v any, seen *covered, quiet bool) (message string, ok bool) {
	sub := evaluator{at: e.at, quiet: quiet || e.quiet}
	sub.value(r, v, seen)
	if found := sub.problems(); len(found) > 0 {
		message = found[0].Message
	}
	return message, sub.failed == 0
}

func (e *evaluator) count(n int, b bounds, what string) {
	if n < b.least {
		e.report(pipeline.CodeOutOfRange, "must have %d %s at least", b.least, what)
	}
	if n > b.most {
		e.report(pipeline.CodeOutOfRange, "must have %d %s at most", b.most, what)
	}
}

// unevaluated holds what no keyword has seen against the schemas for it.
func (e *evaluator) unevaluated(r *rules, v any, seen *covered) {
	switch v := v.(type) {
	case map[string]any:
		if r.object.unevaluated == nil {
			return
		}
		for _, name := range slices.Sorted(maps.Keys(v)) {
			if !seen.hasName(name) {
				e.below(name, r.object.unevaluated, v[name])
			}
		}
		seen.everything()
	case []any:
		if r.list.unevaluated == nil {
			return
		}
		for i := range v {
			if !seen.hasItem(i) {
				e.below(i, r.list.unevaluated, v[i])
			}
		}
		seen.everything()
	}
}
