package manifest

import (
	"encoding/base64"
	"encoding/json"
	"math/big"
	"regexp"
	"unicode/utf8"

	"github.com/waybill-dev/waybill/pipeline"
)

// textRules are the keywords for strings.
type textRules struct {
	length  bounds // in code points
	pattern *regexp.Regexp
	base64  bool
	regex   bool
}

func (c *compiler) textRules(doc map[string]any) textRules {
	t := textRules{
		length: boundsOf(doc, "minLength", "maxLength"),
		base64: c.strict && doc["contentEncoding"] == "base64",
		regex:  c.strict && doc["format"] == "regex",
	}
	if expr, ok := doc["pattern"].(string); ok {
		t.pattern = regexp.MustCompile(expr)
	}
	return t
}

func (e *evaluator) text(t *textRules, v string) {
	e.count(utf8.RuneCountInString(v), t.length, "characters")
	if t.pattern != nil && !t.pattern.MatchString(v) {
		e.report(pipeline.CodeBadValue, "must match %s", t.pattern)
	}
	if t.base64 {
		if _, err := base64.StdEncoding.DecodeString(v); err != nil {
			e.report(pipeline.CodeBadValue, "is not base64")
		}
	}
	if t.regex {
		if _, err := regexp.Compile(v); err != nil {
			e.report(pipeline.CodeBadValue, "is not a regex")
		}
	}
}

// numberRules are the keywords for numbers, which are compared exactly.
type numberRules struct{ least, most, above, under, step *big.Rat }

func newNumberRules(doc map[string]any) numberRules {
	return numberRules{
		least: rational(doc["minimum"]), most: rational(doc["maximum"]),
		above: rational(doc["exclusiveMinimum"]), under: rational(doc["exclusiveMaximum"]), step: rational(doc["multipleOf"]),
	}
}

func (e *evaluator) number(n *numberRules, v json.Number) {
	if *n == (numberRules{}) {
		return
	}
	r := rational(v)
	far := func(bound *big.Rat, words string) { e.report(pipeline.CodeOutOfRange, words, decimalText(bound)) }
	if n.least != nil && r.Cmp(n.least) < 0 {
		far(n.least, "must be at least %s")
	}
	if n.most != nil && r.Cmp(n.most) > 0 {
		far(n.most, "must be at most %s")
	}
	if n.above != nil && r.Cmp(n.above) <= 0 {
		far(n.above, "must be more than %s")
	}
	if n.under != nil && r.Cmp(n.under) >= 0 {
		far(n.under, "must be less than %s")
	}
	if n.step != nil && !new(big.Rat).Quo(r, n.step).IsInt() {
		e.report(pipeline.CodeBadValue, "must be a multiple of %s", decimalText(n.step))
	}
}
