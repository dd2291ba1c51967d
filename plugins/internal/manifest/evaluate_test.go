package manifest_test

import (
	"fmt"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/waybill-dev/waybill/plugins/internal/manifest"
)

// check holds a value against a schema.
func check(t *testing.T, schema, value string) []manifest.Problem {
	t.Helper()
	return withSchema(t, schema).CheckConfig([]byte(value))
}

// TestNumbers: numbers are equal and compared as written, not as doubles.
func TestNumbers(t *testing.T) {
	for _, tt := range []struct {
		schema, value string
		fits          bool
	}{
		{`{"const":1}`, `10e-1`, true},
		{`{"const":0}`, `-0.0e7`, true},
		{`{"const":100}`, `1E+2`, true},
		{`{"const":9007199254740993}`, `9007199254740992`, false},
		{`{"const":0.1}`, `0.10000000000000000001`, false},
		{`{"const":-1}`, `1`, false},
		{`{"maximum":9007199254740992}`, `9007199254740993`, false},
		{`{"exclusiveMinimum":0.3}`, `0.30000000000000000001`, true},
		{`{"multipleOf":0.01}`, `0.07`, true},
		{`{"multipleOf":0.01}`, `1e300`, true},
		{`{"multipleOf":3}`, `1e300`, false},
		{`{"type":"integer"}`, `1.50e1`, true},
		{`{"type":"integer"}`, `1.5`, false},
		{`{"type":"integer"}`, `0e99999999999999999999`, true},
		{`{"type":"integer"}`, `0.000e-7`, true},
		{`{"minLength":1e30}`, `"a"`, false},
		{`{"maxLength":18446744073709551616}`, `"a"`, true},
		{`{"maxItems":1.0}`, `[1,2]`, false},
	} {
		if got := check(t, `{"items":`+tt.schema+`}`, `[`+tt.value+`]`); (len(got) == 0) != tt.fits {
			t.Errorf("%s of %s: %v", tt.schema, tt.value, got)
		}
	}
}

// TestEquality: what uniqueItems, enum and const take for the same value.
func TestEquality(t *testing.T) {
	for _, tt := range []struct{ value, want string }{
		{`[1,"1",true,"true",null,"null",[],{},"",0,false]`, ``},
		{`[{"a":1,"b":[2]},{"b":[2.0],"a":1e0}]`, `elements 0 and 1 are equal`},
		{`["a,b",["a","b"],["a,b"],{"a":"b"},{"a":{"b":0}},[["a"],"b"],[["a","b"]]]`, ``},
		{`["é","\u00e9"]`, `elements 0 and 1 are equal`},
		{`["é","e\u0301"]`, ``},
		{`[3,1,2,1,2]`, `elements 1 and 3 are equal`},
		{`[1,10,100,0.1,-1]`, ``},
	} {
		got := check(t, `{"properties":{"v":{"uniqueItems":true}}}`, `{"v":`+tt.value+`}`)
		text := ""
		if len(got) > 0 {
			text = got[0].Message
		}
		if text != tt.want {
			t.Errorf("%s: %q, want %q", tt.value, text, tt.want)
		}
	}
}

// TestAllAtOnce: keywords that fail do not hide each other, but for a wrong
// type, after which the others would be noise.
func TestAllAtOnce(t *testing.T) {
	got := check(t, `{
		"minProperties":9, "required":["x","y"], "dependentRequired":{"a":["z"]}, "propertyNames":{"maxLength":1},
		"properties":{"a":{"minLength":3,"pattern":"^q","not":{"const":"a"}},"b":{"type":"integer","minimum":3}},
		"patternProperties":{"^l":{"minItems":2,"contains":{"const":1},"items":{"type":"null"}}},
		"additionalProperties":false, "allOf":[{"maxProperties":1}], "if":true, "then":{"required":["w"]}}`,
		`{"a":"a","b":"2","list":[2],"other":0}`)
	want := []string{
		"out-of-range", "out-of-range",
		"a out-of-range", "a bad-value", "a bad-value",
		"b wrong-type",
		"list unknown-key", "list bad-value", "list out-of-range", "list[0] wrong-type",
		"other unknown-key", "other unknown-key",
		"w missing-key", "x missing-key", "y missing-key", "z missing-key",
	}
	if d := cmp.Diff(sorted(want), sorted(codes(got))); d != "" {
		t.Errorf("%s\n%v", d, manifest.Error(got))
	}
}

// TestManyFindings: a flood is cut, and always at the same place.
func TestManyFindings(t *testing.T) {
	m := withSchema(t, `{"items":{"type":"null"},"additionalProperties":{"type":"null"}}`)
	var object strings.Builder
	for i := range 5_000 {
		fmt.Fprintf(&object, `,"k%04d":0`, i)
	}
	for value, last := range map[string]string{
		`[0` + strings.Repeat(",0", 5_000) + `]`: "[9] wrong-type", // as texts are sorted
		`{` + object.String()[1:] + `}`:          "k0999 wrong-type",
	} {
		got := codes(m.CheckConfig([]byte(value)))
		if len(got) != 1_000 || got[999] != last {
			t.Errorf("%.20s: %d findings, the last is %s", value, len(got), got[len(got)-1])
		}
	}
}

// TestUnevaluated: what a form that does not fit has looked at does not count,
// nor what is behind not.
func TestUnevaluated(t *testing.T) {
	for _, tt := range []struct {
		schema, value string
		want          []string
	}{
		{`{"anyOf":[{"required":["x"],"properties":{"x":true}},{"required":["y"],"properties":{"y":true}}],"unevaluatedProperties":false}`,
			`{"x":1,"y":2,"z":3}`, []string{"z unknown-key"}},
		{`{"oneOf":[{"properties":{"x":{"const":1},"y":true}},{"properties":{"x":{"const":2}}}],"unevaluatedProperties":false}`,
			`{"x":2,"y":2}`, []string{"y unknown-key"}},
		{`{"not":{"not":{"properties":{"x":true}}},"unevaluatedProperties":false}`, `{"x":1}`, []string{"x unknown-key"}},
		{`{"allOf":[{"unevaluatedProperties":{"type":"integer"}}],"unevaluatedProperties":false}`, `{"x":1}`, nil},
		{`{"properties":{"v":{"properties":{"x":true}}},"unevaluatedProperties":false}`, `{"v":{"x":1,"y":2}}`, nil},
		{`{"prefixItems":[true],"contains":{"const":3},"unevaluatedItems":{"type":"string"}}`, `[1,2,3,"a"]`, []string{"[1] wrong-type"}},
		{`{"allOf":[{"prefixItems":[true,true]},{"prefixItems":[true]}],"unevaluatedItems":false}`, `[1,2,3]`, []string{"[2] unknown-key"}},
		{`{"allOf":[{"contains":{"const":1}},{"contains":{"const":2}}],"unevaluatedItems":false}`, `[1,2,3]`, []string{"[2] unknown-key"}},
		{`{"allOf":[{"items":true}],"unevaluatedItems":false}`, `[1,2,3]`, nil},
		{`{"if":{"prefixItems":[{"const":1}]},"then":{"prefixItems":[true,true]},"else":{"items":true},"unevaluatedItems":false}`, `[1,2,3]`, []string{"[2] unknown-key"}},
	} {
		if d := cmp.Diff(tt.want, codes(check(t, tt.schema, tt.value))); d != "" {
			t.Errorf("%s of %s: %s", tt.schema, tt.value, d)
		}
	}
}
