package manifest

import (
	_ "embed"
	"fmt"
	"sync"

	"github.com/waybill-dev/waybill/pipeline"
	"github.com/waybill-dev/waybill/spec"
)

// maxWork bounds a check: the bytes of the schema, with references expanded,
// times the bytes of what is checked. It is seconds at worst, for numbers that
// are hard to divide.
const maxWork = 64 << 20

// schema checks configurations.
type schema struct {
	cost  cost
	rules *rules
}

// newSchema compiles the JSON Schema of a configuration.
func newSchema(doc map[string]any) (*schema, []Problem) {
	total, found := lint(doc)
	if len(found) == 0 {
		found = evaluate(metaschema(), doc)
	}
	if len(found) > 0 {
		return nil, found
	}
	return &schema{total, compile(doc)}, nil
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
	return evaluate(s.rules, v)
}

//go:embed metaschema.json
var metaschemaText []byte

// The program's own schemas are compiled when they are first needed.
var (
	metaschema  = sync.OnceValue(func() *rules { return own(metaschemaText, "#") })
	shape       = sync.OnceValue(func() *rules { return own(spec.KernelSchema, "#") })
	sampleShape = sync.OnceValue(func() *rules { return own(spec.KernelSchema, defsPrefix+"sample") })
)

// own compiles a schema that is part of the program.
func own(text []byte, ref string) *rules {
	v, found := strictJSON(text)
	if len(found) > 0 {
		panic("manifest: " + Error(found).Error())
	}
	return newCompiler(v.(map[string]any), true).reference(ref)
}
