package manifest_test

import (
	"bytes"
	"encoding/json"
	"errors"
	"maps"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"github.com/waybill-dev/waybill/plugins/internal/manifest"
)

// agree checks that the evaluator finds in a value what the library finds, and
// at the same places. It returns why the schema is not taken, if it is not.
func agree(t rapid.TB, schema, value []byte) (ours, theirs error) {
	t.Helper()
	m, ours := manifest.Parse([]byte(`{` + head + `,"config":` + string(schema) + `}`))
	compiled, theirs := oracleSchema(schema)
	if ours == nil && theirs != nil {
		t.Fatalf("%s is taken, the library says %v", schema, theirs)
	}
	if ours != nil {
		return ours, theirs
	}
	if overflows(schema) {
		return nil, nil
	}
	got, want := sorted(codes(m.CheckConfig(value))), oracleCheck(t, compiled, value)
	if bytes.Contains(schema, []byte("propertyNames")) && len(got) > 0 && len(want) > 0 {
		return nil, nil // the library's paths of these share memory and change afterwards
	}
	if d := cmp.Diff(want, got); d != "" {
		t.Fatalf("schema %s\nvalue %s\n%s", schema, value, d)
	}
	return nil, nil
}

// overflows reports whether a schema counts further than the library can.
func overflows(schema []byte) bool {
	for _, m := range regexp.MustCompile(`"(?:max|min)[A-Z][a-z]+"\s*:\s*([-+.0-9eE]+)`).FindAllSubmatch(schema, -1) {
		if n, err := strconv.ParseFloat(string(m[1]), 64); err != nil || n > 1<<53 {
			return true
		}
	}
	return false
}

func sorted(found []string) []string {
	slices.Sort(found)
	return slices.Compact(found)
}

// TestRandomSchemas draws schemas of the language and values for them.
func TestRandomSchemas(t *testing.T) {
	rapid.Check(t, randomSchema)
}

func randomSchema(t *rapid.T) {
	schema := asJSON(drawSchema(t))
	if err, _ := agree(t, schema, asJSON(drawValue(t, 3))); err != nil {
		t.Fatalf("%s: %v", schema, err)
	}
}

// TestBrokenSchemas: what the library does not take for a schema is refused,
// and else only what the language leaves out.
func TestBrokenSchemas(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		schema := drawSchema(t)
		schema[drawnKeyword.Draw(t, "keyword")] = drawValue(t, 2)
		ours, theirs := agree(t, asJSON(schema), asJSON(drawValue(t, 3)))
		if ours != nil && theirs == nil && !strings.Contains(ours.Error(), "this keyword cannot be used") {
			t.Fatalf("%s: %v", asJSON(schema), ours)
		}
	})
}

// TestRandomManifests spoils a manifest: the schema of manifests says the same
// of it, whoever evaluates it.
func TestRandomManifests(t *testing.T) {
	shape := oracleShape(t)
	spoilt := 0
	rapid.Check(t, func(t *rapid.T) {
		var doc map[string]any
		dec := json.NewDecoder(strings.NewReader(full))
		dec.UseNumber()
		if err := dec.Decode(&doc); err != nil {
			t.Fatal(err)
		}
		for range rapid.IntRange(1, 3).Draw(t, "changes") {
			spoil(t, doc)
		}
		text := asJSON(doc)
		want := oracleCheck(t, shape, text)
		if len(want) == 0 {
			return // what the schema cannot say is tested elsewhere
		}
		spoilt++
		_, err := manifest.Parse(text)
		var found manifest.Error
		errors.As(err, &found)
		if d := cmp.Diff(want, sorted(codes(found))); d != "" {
			t.Fatalf("%s\n%s", text, d)
		}
	})
	if spoilt == 0 {
		t.Error("no manifest was wrong")
	}
}

// spoil changes one place of a JSON value.
func spoil(t *rapid.T, v any) {
	var below any
	set := func(any) {}
	switch v := v.(type) {
	case map[string]any:
		keys := append(slices.Sorted(maps.Keys(v)), drawnName.Draw(t, "new"))
		key := rapid.SampledFrom(keys).Draw(t, "key")
		below, set = v[key], func(x any) { v[key] = x }
	case []any:
		if len(v) == 0 {
			return
		}
		i := rapid.IntRange(0, len(v)-1).Draw(t, "index")
		below, set = v[i], func(x any) { v[i] = x }
	}
	switch below.(type) {
	case map[string]any, []any:
		if rapid.IntRange(0, 4).Draw(t, "deeper") > 0 {
			spoil(t, below)
			return
		}
	}
	set(drawValue(t, 2))
}

// FuzzRandomSchemas is TestRandomSchemas, guided by coverage.
func FuzzRandomSchemas(f *testing.F) {
	f.Fuzz(rapid.MakeFuzz(randomSchema))
}

// FuzzEvaluate holds any value against any schema.
func FuzzEvaluate(f *testing.F) {
	for _, seed := range seeds() {
		f.Add(seed[0], seed[1])
	}
	f.Fuzz(func(t *testing.T, schema, value string) {
		if !plain(t, schema) || !plain(t, value) {
			return
		}
		agree(t, []byte(schema), []byte(value))
	})
}

// plain reports whether a text is JSON of one meaning, which the library does
// not ask for.
func plain(t *testing.T, text string) bool {
	return len(anything(t).CheckConfig([]byte(text))) == 0
}

// TestSeeds: the corpus of the fuzz target is not refused.
func TestSeeds(t *testing.T) {
	for _, seed := range seeds() {
		if err, _ := agree(t, []byte(seed[0]), []byte(seed[1])); err != nil {
			t.Errorf("%s: %v", seed[0], err)
		}
	}
}
