package manifest_test

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/santhosh-tekuri/jsonschema/v6"
	"github.com/santhosh-tekuri/jsonschema/v6/kind"
	"pgregory.net/rapid"

	"github.com/waybill-dev/waybill/plugins/internal/manifest"
	"github.com/waybill-dev/waybill/spec"
)

// The oracle is a validator of JSON Schema that is not ours.

// oracleSchema compiles a schema with the library. The error says that the
// schema is none.
func oracleSchema(text []byte) (*jsonschema.Schema, error) {
	doc, err := jsonschema.UnmarshalJSON(bytes.NewReader(text))
	if err != nil {
		return nil, err
	}
	return oracleCompile(jsonschema.NewCompiler(), doc)
}

// oracleShape is the schema of manifests.
func oracleShape(t *testing.T) *jsonschema.Schema {
	t.Helper()
	doc, err := jsonschema.UnmarshalJSON(bytes.NewReader(spec.KernelSchema))
	if err != nil {
		t.Fatal(err)
	}
	c := jsonschema.NewCompiler()
	c.AssertContent()
	s, err := oracleCompile(c, doc)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func oracleCompile(c *jsonschema.Compiler, doc any) (*jsonschema.Schema, error) {
	c.DefaultDraft(jsonschema.Draft2020)
	c.UseLoader(refusing{})
	if err := c.AddResource("waybill:config", doc); err != nil {
		return nil, err
	}
	return c.Compile("waybill:config")
}

// refusing loads nothing.
type refusing struct{}

func (refusing) Load(string) (any, error) { return nil, errors.New("nothing is loaded") }

// oracleCheck lists path and code of what the library finds.
func oracleCheck(t rapid.TB, s *jsonschema.Schema, text []byte) []string {
	t.Helper()
	v, err := jsonschema.UnmarshalJSON(bytes.NewReader(text))
	if err != nil {
		t.Fatalf("%s: %v", text, err)
	}
	var invalid *jsonschema.ValidationError
	if err := s.Validate(v); err == nil {
		return nil
	} else if !errors.As(err, &invalid) {
		t.Fatal(err)
	}
	found := oracleWalk(invalid, v)
	slices.Sort(found)
	return slices.Compact(found)
}

// oracleWalk puts the library's tree of errors into our terms.
func oracleWalk(e *jsonschema.ValidationError, root any) (found []string) {
	at := oraclePath(e.InstanceLocation, root)
	add := func(code string, keys ...string) {
		if len(keys) == 0 {
			found = append(found, strings.TrimSpace(at+" "+code))
		}
		for _, key := range keys {
			found = append(found, manifest.Join(at, oracleKey(key))+" "+code)
		}
	}
	switch k := e.ErrorKind.(type) {
	case *kind.Type:
		add("wrong-type")
	case *kind.Minimum, *kind.Maximum, *kind.ExclusiveMinimum, *kind.ExclusiveMaximum, *kind.MinLength, *kind.MaxLength,
		*kind.MinItems, *kind.MaxItems, *kind.MinProperties, *kind.MaxProperties:
		add("out-of-range")
	case *kind.Required:
		add("missing-key", k.Missing...)
	case *kind.DependentRequired:
		add("missing-key", k.Missing...)
	case *kind.AdditionalProperties:
		add("unknown-key", k.Properties...)
	case *kind.PropertyNames:
		add("unknown-key", k.Property)
	case *kind.FalseSchema:
		add("unknown-key")
	case *kind.Enum, *kind.Const, *kind.Pattern, *kind.Not, *kind.Contains, *kind.MinContains, *kind.MaxContains,
		*kind.UniqueItems, *kind.MultipleOf, *kind.AnyOf, *kind.OneOf, *kind.ContentEncoding:
		add("bad-value")
	case *kind.Schema, *kind.Group, *kind.Reference, *kind.AllOf:
		for _, cause := range e.Causes {
			found = append(found, oracleWalk(cause, root)...)
		}
	default:
		panic(fmt.Sprintf("%T is not in the language", k))
	}
	return found
}

// oraclePath writes the library's steps, which are all text.
func oraclePath(steps []string, v any) (at string) {
	for _, step := range steps {
		switch above := v.(type) {
		case []any:
			i, _ := strconv.Atoi(step)
			at += fmt.Sprintf("[%d]", i)
			v = above[i]
		case map[string]any:
			at = manifest.Join(at, oracleKey(step))
			v = above[step]
		}
	}
	return at
}

// oracleKey writes a key as Problem.Path says.
func oracleKey(key string) string {
	if key == "" || strings.ContainsAny(key, ".[] \t\n\"") {
		return fmt.Sprintf("[%q]", key)
	}
	return key
}

// asJSON is for values that tests made.
func asJSON(v any) []byte {
	b, err := json.Marshal(v)
	if err != nil {
		panic(err)
	}
	return b
}
