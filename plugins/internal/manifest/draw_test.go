package manifest_test

import (
	"encoding/json"

	"pgregory.net/rapid"
)

// What is drawn comes from small alphabets, so that schemas and values meet.

var (
	drawnName   = rapid.SampledFrom([]string{"a", "b", "ab", "é"})
	drawnText   = rapid.SampledFrom([]string{"", "a", "b", "ab", "é", "aé", "1", "\U0001f600", "\n", "<a>"})
	drawnNumber = rapid.SampledFrom([]json.Number{"0", "-0", "1", "1.0", "10e-1", "1e0", "2", "-1", "0.1", "0.10", "0.3", "1.5", "3", "1e3", "1000", "1e308", "4.9e-324",
		"9007199254740993", "9007199254740992.0", "18446744073709551616", "0e99999"})
	drawnCount   = rapid.SampledFrom([]json.Number{"0", "1", "2", "3", "1.0", "2e0", "1e3"})
	drawnType    = rapid.SampledFrom([]string{"null", "boolean", "number", "integer", "string", "array", "object"})
	drawnKeyword = rapid.SampledFrom([]string{"type", "enum", "const", "multipleOf", "maximum", "exclusiveMinimum", "maxLength", "minItems", "pattern", "uniqueItems",
		"maxContains", "minProperties", "required", "dependentRequired", "title", "deprecated", "examples", "format", "contentEncoding", "$comment", "default",
		"additionalProperties", "items", "contains", "not", "if", "propertyNames", "unevaluatedItems", "unevaluatedProperties",
		"allOf", "anyOf", "oneOf", "prefixItems", "properties", "patternProperties", "dependentSchemas"})
	drawnPattern = rapid.SampledFrom([]string{"a", "^a", "b$", "^$", "^.$", "^[^a]*$", `\d`, `^\w+$`, "(a|é)+"})
)

// drawValue draws a JSON value that nests so deep.
func drawValue(t *rapid.T, depth int) any {
	last := 5
	if depth == 0 {
		last = 3
	}
	switch rapid.IntRange(0, last).Draw(t, "value") {
	case 0:
		return rapid.SampledFrom([]any{nil, true, false}).Draw(t, "literal")
	case 1:
		return drawnNumber.Draw(t, "number")
	case 2, 3:
		return drawnText.Draw(t, "text")
	case 4:
		list := make([]any, rapid.IntRange(0, 4).Draw(t, "elements"))
		for i := range list {
			list[i] = drawValue(t, depth-1)
		}
		return list
	}
	object := map[string]any{}
	for range rapid.IntRange(0, 4).Draw(t, "keys") {
		object[drawnName.Draw(t, "key")] = drawValue(t, depth-1)
	}
	return object
}

// drawSchema draws a schema with definitions, each of which refers to earlier
// ones only.
func drawSchema(t *rapid.T) map[string]any {
	defs := map[string]any{}
	d := drawer{t: t}
	for _, name := range []string{"x", "y"} {
		defs[name] = d.schema(2)
		d.defs = append(d.defs, "#/$defs/"+name)
	}
	schema := d.object(3)
	schema["$defs"] = defs
	return schema
}

type drawer struct {
	t    *rapid.T
	defs []string
}

func (d *drawer) schema(depth int) any {
	if rapid.IntRange(0, 9).Draw(d.t, "boolean schema") == 0 {
		return rapid.Bool().Draw(d.t, "verdict")
	}
	return d.object(depth)
}

func (d *drawer) object(depth int) map[string]any {
	schema := map[string]any{}
	for range rapid.IntRange(1, 4).Draw(d.t, "keywords") {
		if depth > 0 && rapid.Bool().Draw(d.t, "with schemas") {
			d.applicator(schema, depth-1)
		} else {
			d.assertion(schema)
		}
	}
	return schema
}

func (d *drawer) assertion(schema map[string]any) {
	keyword := rapid.SampledFrom([]string{"type", "types", "enum", "const", "multipleOf", "maximum", "exclusiveMaximum", "minimum", "exclusiveMinimum",
		"maxLength", "minLength", "pattern", "maxItems", "minItems", "uniqueItems", "maxContains", "minContains",
		"maxProperties", "minProperties", "required", "dependentRequired", "format"}).Draw(d.t, "assertion")
	switch keyword {
	case "type":
		schema[keyword] = drawnType.Draw(d.t, "type")
	case "types":
		schema["type"] = rapid.SliceOfNDistinct(drawnType, 1, 3, rapid.ID).Draw(d.t, "types")
	case "enum":
		list := make([]any, rapid.IntRange(0, 3).Draw(d.t, "allowed"))
		for i := range list {
			list[i] = drawValue(d.t, 2)
		}
		schema[keyword] = list
	case "const":
		schema[keyword] = drawValue(d.t, 2)
	case "multipleOf":
		schema[keyword] = rapid.SampledFrom([]json.Number{"1", "0.1", "0.5", "1e-3", "3", "4.9e-324"}).Draw(d.t, "step")
	case "maximum", "exclusiveMaximum", "minimum", "exclusiveMinimum":
		schema[keyword] = drawnNumber.Draw(d.t, "bound")
	case "pattern":
		schema[keyword] = drawnPattern.Draw(d.t, "pattern")
	case "uniqueItems":
		schema[keyword] = rapid.Bool().Draw(d.t, "unique")
	case "required":
		schema[keyword] = d.names()
	case "dependentRequired":
		schema[keyword] = map[string]any{drawnName.Draw(d.t, "key"): d.names()}
	case "format":
		schema[keyword], schema["contentEncoding"], schema["default"] = "ipv4", "base64", nil
	default:
		schema[keyword] = drawnCount.Draw(d.t, "count")
	}
}

func (d *drawer) names() []string {
	return rapid.SliceOfNDistinct(drawnName, 0, 2, rapid.ID).Draw(d.t, "names")
}

func (d *drawer) applicator(schema map[string]any, depth int) {
	keyword := rapid.SampledFrom([]string{"additionalProperties", "items", "contains", "not", "if", "propertyNames", "unevaluatedProperties", "unevaluatedItems",
		"allOf", "anyOf", "oneOf", "prefixItems", "properties", "patternProperties", "dependentSchemas", "$ref"}).Draw(d.t, "applicator")
	switch keyword {
	case "if":
		schema["if"], schema["then"], schema["else"] = d.schema(depth), d.schema(depth), d.schema(depth)
	case "allOf", "anyOf", "oneOf", "prefixItems":
		list := make([]any, rapid.IntRange(1, 3).Draw(d.t, "schemas"))
		for i := range list {
			list[i] = d.schema(depth)
		}
		schema[keyword] = list
	case "properties", "dependentSchemas":
		named := map[string]any{}
		for _, name := range d.names() {
			named[name] = d.schema(depth)
		}
		schema[keyword] = named
	case "patternProperties":
		schema[keyword] = map[string]any{drawnPattern.Draw(d.t, "pattern"): d.schema(depth)}
	case "$ref":
		if len(d.defs) > 0 {
			schema[keyword] = rapid.SampledFrom(d.defs).Draw(d.t, "definition")
		}
	default:
		schema[keyword] = d.schema(depth)
	}
}

// seeds are pairs of a schema and a value: what people write, and corners.
func seeds() [][2]string {
	return [][2]string{
		{`{"type":["integer","null"],"minimum":1,"multipleOf":0.1}`, `1.0`},
		{`{"type":"integer"}`, `1e4`},
		{`{"enum":[1,{"a":[1.0,"x"]}]}`, `{"a":[10e-1,"x"]}`},
		{`{"const":null}`, `0`},
		{`{"maxLength":1}`, `"😀"`},
		{`{"minLength":1e30}`, `""`},
		{`{"pattern":"^é+$"}`, `"éé"`},
		{`{"uniqueItems":true}`, `[1,"1",1.0,[],{},[]]`},
		{`{"uniqueItems":true}`, `[0,1,2,3,4,5,6,7,8,9,10,11,12,13,14,15,16,17,18,19,20,21,22,"",20.0]`},
		{`{"uniqueItems":true}`, `["a,b",["a","b"],{"a":"b"},"[\"a\"]"]`},
		{`{"contains":{"const":1},"minContains":0,"maxContains":1}`, `[1,1,2]`},
		{`{"contains":{"const":1},"unevaluatedItems":{"type":"string"}}`, `[1,"a",2]`},
		{`{"prefixItems":[true,{"type":"null"}],"items":false}`, `[1,2,3]`},
		{`{"properties":{"a":{"type":"null"}},"patternProperties":{"^a":{"const":1}},"additionalProperties":false}`, `{"a":1,"ab":2,"b":3}`},
		{`{"allOf":[{"properties":{"a":true}}],"unevaluatedProperties":false}`, `{"a":1,"b":2}`},
		{`{"anyOf":[{"properties":{"a":true},"required":["a"]},{"properties":{"b":true}}],"unevaluatedProperties":false}`, `{"a":1,"b":2,"c":3}`},
		{`{"if":{"properties":{"a":{"const":1}},"required":["a"]},"then":{"properties":{"b":true}},"else":{"properties":{"c":true}},"unevaluatedProperties":false}`, `{"a":1,"b":2,"c":3}`},
		{`{"$ref":"#/$defs/x","unevaluatedItems":false,"$defs":{"x":{"prefixItems":[true],"contains":{"const":3}}}}`, `[1,2,3]`},
		{`{"oneOf":[{"type":"number"},{"type":"integer"},false]}`, `1`},
		{`{"not":{"not":{"required":["a"]}}}`, `{}`},
		{`{"dependentSchemas":{"a":{"required":["b"],"properties":{"b":true}}},"dependentRequired":{"a":["c"]},"unevaluatedProperties":false}`, `{"a":1,"b":2}`},
		{`{"propertyNames":{"maxLength":1},"minProperties":3,"maxProperties":1}`, `{"ab":1,"c":2}`},
		{`{"additionalProperties":{"not":{}}}`, `{"a":1}`},
		{`{"exclusiveMinimum":0,"exclusiveMaximum":0.1,"maximum":9007199254740993}`, `9007199254740992.5`},
	}
}
