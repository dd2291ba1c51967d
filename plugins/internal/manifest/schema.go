package manifest

import (
	"errors"
	"fmt"

	"github.com/santhosh-tekuri/jsonschema/v6"

	"github.com/waybill-dev/waybill/pipeline"
)

// maxWork bounds a check: the bytes of the schema, with references expanded,
// times the bytes of what is checked. It is about a second.
const maxWork = 64 << 20

// schema checks configurations.
type schema struct {
	doc      map[string]any
	cost     cost
	compiled *jsonschema.Schema
}

// newSchema compiles the JSON Schema of a configuration.
func newSchema(doc map[string]any) (*schema, []Problem) {
	total, found := lint(doc)
	if len(found) > 0 {
		return nil, found
	}
	compiled, found := compile(doc)
	if len(found) > 0 {
		return nil, found
	}
	return &schema{doc, total, compiled}, nil
}

// schemaURL is where the library finds the schema; no such place exists.
const schemaURL = "waybill:config"

// noLoader loads nothing.
type noLoader struct{}

// Load refuses.
func (noLoader) Load(string) (any, error) { return nil, errors.New("nothing is loaded") }

// newCompiler makes a compiler of the library. Formats are annotations, as the
// standard has it.
func newCompiler() *jsonschema.Compiler {
	c := jsonschema.NewCompiler()
	c.DefaultDraft(jsonschema.Draft2020)
	c.UseLoader(noLoader{})
	return c
}

// compile hands a schema to the library.
func compile(doc any) (*jsonschema.Schema, []Problem) {
	c := newCompiler()
	if err := c.AddResource(schemaURL, doc); err != nil {
		return nil, []Problem{{Message: err.Error(), Code: pipeline.CodeBadValue}}
	}
	s, err := c.Compile(schemaURL)
	var meta *jsonschema.SchemaValidationError
	var invalid *jsonschema.ValidationError
	switch {
	case err == nil:
		return s, nil
	case errors.As(err, &meta) && errors.As(meta.Err, &invalid):
		return nil, explain(invalid, nil, doc)
	}
	return nil, []Problem{{Message: "not a JSON Schema: " + err.Error(), Code: pipeline.CodeBadValue}}
}

// tooLarge reports values of so many bytes that cannot be checked.
func (s *schema) tooLarge(size int) *Problem {
	if size == 0 || s.cost.bytes <= maxWork/size {
		return nil
	}
	return &Problem{Message: fmt.Sprintf("%d bytes of configuration are too many for a schema that checks %d", size, s.cost.bytes), Code: pipeline.CodeOutOfRange}
}

// check lists what is wrong with a value of so many bytes.
func (s *schema) check(v any, size int) []Problem {
	if p := s.tooLarge(size); p != nil {
		return []Problem{*p}
	}
	return validate(s.compiled, s.doc, v)
}

func validate(compiled *jsonschema.Schema, doc, v any) []Problem {
	var invalid *jsonschema.ValidationError
	if err := compiled.Validate(v); errors.As(err, &invalid) {
		return explain(invalid, doc, v)
	}
	return nil
}
