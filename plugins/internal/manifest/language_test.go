package manifest

import (
	"encoding/json"
	"maps"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/santhosh-tekuri/jsonschema/v6"
)

// TestMetaschema: it speaks of the keywords of the language, of all of them, and
// is a schema itself.
func TestMetaschema(t *testing.T) {
	var doc struct{ Properties map[string]any }
	if err := json.Unmarshal(metaschemaText, &doc); err != nil {
		t.Fatal(err)
	}
	if d := cmp.Diff(slices.Sorted(maps.Keys(keywords())), slices.Sorted(maps.Keys(doc.Properties))); d != "" {
		t.Error(d)
	}
	v, _ := strictJSON(metaschemaText)
	c := jsonschema.NewCompiler()
	if err := c.AddResource("waybill:metaschema", v); err != nil {
		t.Fatal(err)
	}
	if _, err := c.Compile("waybill:metaschema"); err != nil {
		t.Error(err)
	}
	if found := evaluate(metaschema(), v); len(found) > 0 {
		t.Error(Error(found))
	}
}

// TestPatternSize: a pattern is as large as what it is compiled to.
func TestPatternSize(t *testing.T) {
	for _, tt := range []struct {
		expr        string
		least, most int
	}{
		{"", 1, 1},
		{"^[a-z0-9-]+$", 5, 20},
		{"abc", 3, 6},
		{"a{1000}", 1_000, 3_000},
		{"(a{30}){30}", 900, 4_000},
		{"((a?){10,}b{2,10}){20}", 400, 2_000},
		{`\pL`, 500, 5_000},
		{"[", 0, 0},
	} {
		if n := patternSize(tt.expr); n < tt.least || n > tt.most {
			t.Errorf("%s: %d, want %d to %d", tt.expr, n, tt.least, tt.most)
		}
	}
}

// TestPatternCost: patterns that are short to write and large to run are
// refused, and what they cost is counted against the value.
func TestPatternCost(t *testing.T) {
	half := strings.Repeat("[a-z]{1000}", 20)
	large := half + half
	for _, doc := range []map[string]any{
		{"pattern": large},
		{"patternProperties": map[string]any{large: true}},
		{"$defs": map[string]any{"a": map[string]any{"pattern": half}, "b": map[string]any{"pattern": half}}},
	} {
		_, found := newSchema(doc)
		if len(found) != 1 || !strings.Contains(found[0].Message, "with repetitions expanded") {
			t.Errorf("%.40v: %v", doc, found)
		}
	}
	s, found := newSchema(map[string]any{"items": map[string]any{"pattern": "(x+){1000}y"}})
	if len(found) > 0 || s.tooLarge(1<<10) != nil || s.tooLarge(1<<20) == nil {
		t.Errorf("%+v, %v", s, found)
	}
}
