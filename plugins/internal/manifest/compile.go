package manifest

import (
	"encoding/json"
	"math"
	"math/big"
	"slices"
)

// rules is a compiled schema: what it demands of a value. A keyword that is not
// there is a nil or zero field.
type rules struct {
	never    bool     // the schema false
	types    []string // in the order of typeNames
	constant *choice
	enum     *choice
	ref      *rules
	object   objectRules
	list     listRules
	text     textRules
	number   numberRules
	logic    logicRules
}

// compiler makes rules of a document that fits the metaschema; anything else
// in it means nothing.
type compiler struct {
	doc map[string]any
	// strict makes assertions of contentEncoding and of the format regex, which
	// are for people in a kernel's schema.
	strict bool
	refs   map[string]*rules
}

// compile makes the rules of the whole document.
func compile(doc map[string]any) *rules {
	return newCompiler(doc, false).reference("#")
}

func newCompiler(doc map[string]any, strict bool) *compiler {
	return &compiler{doc: doc, strict: strict, refs: map[string]*rules{}}
}

// reference compiles what "#" or "#/$defs/name" refers to, once. The metaschema
// refers to itself, so the entry is there before its rules are.
func (c *compiler) reference(text string) *rules {
	r, ok := c.refs[text]
	if ok {
		return r
	}
	r = new(rules)
	c.refs[text] = r
	if text == "#" {
		c.fill(r, c.doc)
		return r
	}
	defs, _ := c.doc["$defs"].(map[string]any)
	c.fill(r, defs[text[len(defsPrefix):]])
	return r
}

// schema compiles one schema.
func (c *compiler) schema(v any) *rules {
	r := new(rules)
	c.fill(r, v)
	return r
}

func (c *compiler) fill(r *rules, v any) {
	r.never = v == false
	doc, _ := v.(map[string]any)
	r.types = typesOf(doc["type"])
	if v, ok := doc["const"]; ok {
		r.constant = newChoice([]any{v})
	}
	if values, ok := doc["enum"].([]any); ok {
		r.enum = newChoice(values)
	}
	if text, ok := doc["$ref"].(string); ok {
		r.ref = c.reference(text)
	}
	r.object = c.objectRules(doc)
	r.list = c.listRules(doc)
	r.text = c.textRules(doc)
	r.number = newNumberRules(doc)
	r.logic = c.logicRules(doc)
}

// one compiles the schema behind a keyword, nil if there is none.
func (c *compiler) one(doc map[string]any, keyword string) *rules {
	v, ok := doc[keyword]
	if !ok {
		return nil
	}
	return c.schema(v)
}

func (c *compiler) several(doc map[string]any, keyword string) (out []*rules) {
	list, _ := doc[keyword].([]any)
	for _, v := range list {
		out = append(out, c.schema(v))
	}
	return out
}

func (c *compiler) named(doc map[string]any, keyword string) map[string]*rules {
	schemas, _ := doc[keyword].(map[string]any)
	out := make(map[string]*rules, len(schemas))
	for name, v := range schemas {
		out[name] = c.schema(v)
	}
	return out
}

// bounds limit a count.
type bounds struct{ least, most int }

// boundsOf reads a pair of keywords.
func boundsOf(doc map[string]any, least, most string) bounds {
	return bounds{count(doc[least], 0), count(doc[most], math.MaxInt)}
}

// count reads a number of things, which may be written as 1e3 and be larger
// than anything can have.
func count(v any, absent int) int {
	r := rational(v)
	switch {
	case r == nil:
		return absent
	case !r.Num().IsInt64():
		return math.MaxInt
	}
	return int(min(r.Num().Int64(), math.MaxInt))
}

// rational reads a number exactly, nil if it is none.
func rational(v any) *big.Rat {
	n, ok := v.(json.Number)
	if !ok {
		return nil
	}
	r, _ := new(big.Rat).SetString(string(n))
	return r
}

// texts reads a list of strings.
func texts(v any) (out []string) {
	list, _ := v.([]any)
	for _, v := range list {
		if s, ok := v.(string); ok {
			out = append(out, s)
		}
	}
	return out
}

// typesOf reads one type or a list of them.
func typesOf(v any) (out []string) {
	wanted := texts(v)
	if one, ok := v.(string); ok {
		wanted = []string{one}
	}
	for _, name := range typeNames() {
		if slices.Contains(wanted, name) {
			out = append(out, name)
		}
	}
	return out
}

func typeNames() []string {
	return []string{"null", "boolean", "number", "integer", "string", "array", "object"}
}

// typeOf names the type of a JSON value; integers are numbers.
func typeOf(v any) string {
	switch v.(type) {
	case nil:
		return "null"
	case bool:
		return "boolean"
	case json.Number:
		return "number"
	case string:
		return "string"
	case []any:
		return "array"
	}
	return "object"
}
