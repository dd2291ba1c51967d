package manifest_test

import (
	"encoding/json"
	"fmt"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/waybill-dev/waybill/plugins/internal/manifest"
)

// withSchema is a manifest with a schema of the configuration.
func withSchema(t *testing.T, schema string) *manifest.Manifest {
	t.Helper()
	m, err := manifest.Parse([]byte(`{` + head + `,"config":` + schema + `}`))
	if err != nil {
		t.Fatalf("%s: %v", schema, err)
	}
	return m
}

func TestCheckConfig(t *testing.T) {
	m, err := manifest.Parse([]byte(full))
	if err != nil {
		t.Fatal(err)
	}
	for _, tt := range []struct {
		config string
		want   []string // path code
		text   string
	}{
		{`{"lang":"en","minWords":3,"rules":[{"name":"a","a.b":true}]}`, nil, ""},
		{`{}`, []string{"lang missing-key"}, `the key "lang" is required`},
		{`{"lang":"en","minWord":3}`, []string{"minWord unknown-key"}, "did you mean minWords?"},
		{`{"lang":"en","other":3}`, []string{"other unknown-key"}, "known: lang, minWords, rules"},
		{`{"lang":"","minWords":0}`, []string{"lang out-of-range", "minWords out-of-range"}, "at least 1"},
		{`{"lang":"en","minWords":1000001}`, []string{"minWords out-of-range"}, "at most 1000000"},
		{`{"lang":"en","minWords":1.5}`, []string{"minWords wrong-type"}, "want integer, got number"},
		{`{"lang":"en","minWords":1.0}`, nil, ""},
		{`{"lang":null,"rules":{}}`, []string{"lang wrong-type", "rules wrong-type"}, "want array, got object"},
		{`{"lang":"en","rules":[{"name":"a"},{"a.b":1},3]}`, []string{`rules[1].name missing-key`, `rules[1]["a.b"] wrong-type`, "rules[2] wrong-type"}, "boolean"},
		{`[]`, []string{"wrong-type"}, "want object"},
		{`{"lang":"en","lang":"de"}`, []string{"lang syntax"}, "set twice"},
	} {
		got := m.CheckConfig([]byte(tt.config))
		if d := cmp.Diff(tt.want, codes(got)); d != "" {
			t.Errorf("%s: %s\n%v", tt.config, d, got)
		}
		if !strings.Contains(manifest.Error(got).Error(), tt.text) {
			t.Errorf("%s: %q is not in %v", tt.config, tt.text, got)
		}
	}
}

// TestWords: each keyword's finding in words, none of which quotes the value.
func TestWords(t *testing.T) {
	const secret = "hunter2"
	for _, tt := range []struct{ schema, value, want string }{
		{`{"enum":["a",{"b":1}]}`, `"hunter2"`, `want one of "a", {"b":1}`},
		{`{"const":"a"}`, `"hunter2"`, `want "a"`},
		{`{"pattern":"^[a-z]+$"}`, `"hunter2"`, `must match ^[a-z]+$`},
		{`{"maxLength":3}`, `"hunter2"`, `must have 3 characters at most`},
		{`{"not":{"type":"string"}}`, `"hunter2"`, `is what the schema excludes`},
		{`{"multipleOf":0.5}`, `0.3`, `must be a multiple of 0.5`},
		{`{"exclusiveMinimum":3}`, `3`, `must be more than 3`},
		{`{"exclusiveMaximum":3}`, `3`, `must be less than 3`},
		{`{"minItems":2,"uniqueItems":true}`, `["hunter2"]`, `must have 2 elements at least`},
		{`{"maxItems":1}`, `["hunter2",1]`, `must have 1 elements at most`},
		{`{"uniqueItems":true}`, `["hunter2","hunter2"]`, `elements 0 and 1 are equal`},
		{`{"contains":{"type":"null"}}`, `["hunter2"]`, `no element is as the schema wants one`},
		{`{"contains":{"type":"null"},"minContains":2}`, `["hunter2",null]`, `too few elements are as the schema wants 2`},
		{`{"contains":{"type":"string"},"maxContains":1}`, `["hunter2","a"]`, `more than 1 elements are as the schema wants them`},
		{`{"minProperties":1}`, `{}`, `must have 1 keys at least`},
		{`{"maxProperties":0}`, `{"a":"hunter2"}`, `must have 0 keys at most`},
		{`{"anyOf":[{"type":"integer"},{"enum":["a"]}]}`, `"hunter2"`, `fits none of its forms: want integer, got string; want one of "a"`},
		{`{"oneOf":[{"type":"integer"},{"type":"null"}]}`, `"hunter2"`, `fits none of its forms: want integer, got string; want null, got string`},
		{`{"oneOf":[{"type":"string"},{"minLength":1}]}`, `"hunter2"`, `fits more than one of forms that exclude each other`},
		{`{"allOf":[{"$ref":"#/$defs/n"}]}`, `"hunter2"`, `want number, got string`},
		{`{"if":{"type":"string"},"then":{"maxLength":1}}`, `"hunter2"`, `must have 1 characters at most`},
		{`{"propertyNames":{"maxLength":1}}`, `{"ab":"hunter2"}`, `"ab" cannot be a key here`},
		{`{"dependentRequired":{"a":["b"]}}`, `{"a":"hunter2"}`, `the key "b" is required beside "a"`},
		{`{"properties":{"a":false}}`, `{"a":"hunter2"}`, `this cannot stand here`},
		{`{"unevaluatedProperties":false}`, `{"a":"hunter2"}`, `this cannot stand here`},
		{`{"format":"ipv4","contentEncoding":"base64"}`, `"hunter2"`, ``},
	} {
		m := withSchema(t, `{"properties":{"v":`+tt.schema+`},"$defs":{"n":{"type":"number"}}}`)
		got := m.CheckConfig([]byte(`{"v":` + tt.value + `}`))
		text := ""
		if len(got) > 0 {
			text = got[0].Message
		}
		if text != tt.want || len(got) > 1 {
			t.Errorf("%s of %s: %q, want %q", tt.schema, tt.value, got, tt.want)
		}
		if strings.Contains(manifest.Error(got).Error(), secret) {
			t.Errorf("%s: the value is quoted: %v", tt.schema, got)
		}
	}
}

// TestLanguage: what a schema of a configuration may not use.
func TestLanguage(t *testing.T) {
	for _, tt := range []struct {
		schema string
		want   []string
		text   string
	}{
		{`{"$schema":"https://json-schema.org/draft/2020-12/schema","$comment":"x","default":{},"examples":[{"$ref":"http://example.com/"}]}`, nil, ""},
		{`true`, []string{"config wrong-type"}, "want object"},
		{`{"$schema":"http://json-schema.org/draft-07/schema#"}`, []string{"config.$schema bad-value"}, "2020-12"},
		{`{"properties":{"a":{"$schema":"https://json-schema.org/draft/2020-12/schema"}}}`, []string{"config.properties.a.$schema bad-value"}, "at the top only"},
		{`{"properties":{"a":{"minimun":1}}}`, []string{"config.properties.a.minimun unknown-key"}, "did you mean minimum?"},
		{`{"$id":"x","$anchor":"y","$dynamicRef":"#z","definitions":{}}`,
			[]string{"config.$anchor unknown-key", "config.$dynamicRef unknown-key", "config.$id unknown-key", "config.definitions unknown-key"}, "cannot be used"},
		{`{"$ref":"https://example.com/schema.json"}`, []string{"config.$ref bad-value"}, "nothing is loaded"},
		{`{"$ref":"https://json-schema.org/draft/2020-12/schema"}`, []string{"config.$ref bad-value"}, "nothing is loaded"},
		{`{"$ref":"file:///etc/passwd"}`, []string{"config.$ref bad-value"}, "nothing is loaded"},
		{`{"$ref":"#/properties/a"}`, []string{"config.$ref bad-value"}, "only definitions"},
		{`{"$ref":"#/$defs/a"}`, []string{"config.$ref bad-value"}, `no definition "a"`},
		{`{"$ref":"#/$defs/a","$defs":{"a":{"items":{"$ref":"#/$defs/b"}},"b":{"not":{"$ref":"#/$defs/a"}}}}`, []string{"config.$defs.b.not.$ref bad-value"}, "contains itself"},
		{`{"properties":{"a":{"$defs":{}}}}`, []string{"config.properties.a.$defs bad-value"}, "at the top only"},
		{`{"type":"strng","minLength":-1,"properties":{"a":3},"required":"a","pattern":"["}`,
			[]string{"config.minLength out-of-range", "config.pattern bad-value", "config.properties.a wrong-type", "config.required wrong-type", "config.type bad-value"}, "fits none"},
	} {
		_, err := manifest.Parse([]byte(`{` + head + `,"config":` + tt.schema + `}`))
		if len(tt.want) == 0 {
			if err != nil {
				t.Errorf("%s: %v", tt.schema, err)
			}
			continue
		}
		if err == nil {
			t.Errorf("%s is taken", tt.schema)
			continue
		}
		if d := cmp.Diff(tt.want, problems(t, err)); d != "" {
			t.Errorf("%s: %s\n%v", tt.schema, d, err)
		}
		if !strings.Contains(err.Error(), tt.text) {
			t.Errorf("%s: %q is not in %v", tt.schema, tt.text, err)
		}
	}
}

// TestHostileSchema: what would keep a validator busy is refused before it
// starts.
func TestHostileSchema(t *testing.T) {
	doubling := map[string]any{"d0": map[string]any{"type": "string"}}
	for i := 1; i <= 60; i++ {
		below := map[string]any{"$ref": fmt.Sprintf("#/$defs/d%d", i-1)}
		doubling[fmt.Sprintf("d%d", i)] = map[string]any{"anyOf": []any{below, below}}
	}
	numbers := make([]int, 40_000)
	for i := range numbers {
		numbers[i] = i
	}
	wide := map[string]any{}
	for i := range 2_000 {
		wide[fmt.Sprintf("p%d", i)] = map[string]any{"type": "string"}
	}
	for name, doc := range map[string]map[string]any{
		"more than 2000 schemas":  {"config": map[string]any{"$defs": wide}},
		"more than 10000 schemas": {"config": map[string]any{"not": map[string]any{"$ref": "#/$defs/d60"}, "$defs": doubling}},
		"are too many for a schema": {
			"config":  map[string]any{"properties": map[string]any{"v": map[string]any{"items": map[string]any{"enum": numbers}}}},
			"samples": []any{map[string]any{"name": "s", "config": map[string]any{"v": numbers}}},
		},
	} {
		doc["name"], doc["version"] = "a", "1.0.0"
		raw, err := json.Marshal(doc)
		if err != nil {
			t.Fatal(err)
		}
		if _, err = manifest.Parse(raw); err == nil || !strings.Contains(err.Error(), name) {
			t.Errorf("%s: %v", name, err)
		}
	}
}
