package manifest

import "github.com/waybill-dev/waybill/pipeline"

// listRules are the keywords for lists.
type listRules struct {
	size        bounds
	unique      bool
	prefix      []*rules
	items       *rules
	contains    *rules
	matches     bounds // of contains
	some        bool   // contains without minContains
	unevaluated *rules
}

func (c *compiler) listRules(doc map[string]any) listRules {
	l := listRules{
		size: boundsOf(doc, "minItems", "maxItems"), unique: doc["uniqueItems"] == true,
		prefix: c.several(doc, "prefixItems"), items: c.one(doc, "items"),
		contains: c.one(doc, "contains"), matches: boundsOf(doc, "minContains", "maxContains"),
		unevaluated: c.one(doc, "unevaluatedItems"),
	}
	_, told := doc["minContains"]
	l.some = !told
	return l
}

func (e *evaluator) list(l *listRules, v []any, seen *covered) {
	e.count(len(v), l.size, "elements")
	if l.unique {
		e.unique(v)
	}
	n := min(len(l.prefix), len(v))
	for i, r := range l.prefix[:n] {
		e.below(i, r, v[i])
	}
	seen.upTo(n)
	if l.items != nil {
		for i := n; i < len(v); i++ {
			e.below(i, l.items, v[i])
		}
		seen.everything()
	}
	if l.contains != nil {
		e.contains(l, v, seen)
	}
}

func (e *evaluator) unique(v []any) {
	first := make(map[string]int, len(v))
	for i := range v {
		form := canonical(v[i])
		if j, twice := first[form]; twice {
			e.report(pipeline.CodeBadValue, "elements %d and %d are equal", j, i)
			return
		}
		first[form] = i
	}
}

func (e *evaluator) contains(l *listRules, v []any, seen *covered) {
	n := 0
	for i := range v {
		if _, ok := e.try(l.contains, v[i], nil, true); ok {
			n++
			seen.item(i)
		}
	}
	switch {
	case l.some && n == 0:
		e.report(pipeline.CodeBadValue, "no element is as the schema wants one")
	case n < l.matches.least:
		e.report(pipeline.CodeBadValue, "too few elements are as the schema wants %d", l.matches.least)
	}
	if n > l.matches.most {
		e.report(pipeline.CodeBadValue, "more than %d elements are as the schema wants them", l.matches.most)
	}
}
