package execute

import (
	"context"
	"encoding/json"
	"fmt"
	"maps"
	"reflect"
	"slices"

	"github.com/waybill-dev/waybill/pipeline"
)

// Step is one step: a mapping with exactly one step name and the common keys.
type Step struct {
	// Name is the step's name: navigate, click, ...
	Name string
	// Pos is its place in the file; failures cite it.
	Pos pipeline.Pos
	// Timeout is the step's deadline; 0: the stage's stepTimeout.
	Timeout pipeline.Duration
	// Optional steps may fail; the next one runs all the same. The end of the
	// page, the browser or the item's time is never optional.
	Optional bool

	action action
}

// action is what a step does. It is shared by all items and does not change.
type action interface {
	run(ctx context.Context, v *visit) error
}

// actions make the action of each step, to be decoded into.
func actions() map[string]action {
	return map[string]action{
		"navigate":       &navigate{},
		"waitForElement": &waitForElement{},
		"click":          &click{},
		"type":           &typeText{},
		"extract":        &extract{},
		"evaluate":       &evaluate{},
		"html":           &html{},
		"screenshot":     &screenshot{},
		"console":        &console{},
		"assert":         &assert{},
	}
}

// Names lists the steps, sorted.
func Names() []string { return slices.Sorted(maps.Keys(actions())) }

// UnmarshalNode reads a step.
func (s *Step) UnmarshalNode(n *pipeline.Node) {
	s.Pos = n.Pos()
	if n.Kind() != pipeline.KindMap {
		n.Problem(pipeline.CodeWrongType, "write a step as \"- navigate: ...\"", "want a step, got %s", n.Kind())
		return
	}
	made := actions()
	known := append(Names(), "timeout", "optional")
	unknown := false
	for _, f := range n.Fields() {
		switch {
		case f.Name == "timeout":
			if f.Value.Decode(&s.Timeout) && s.Timeout <= 0 {
				f.Value.Problem(pipeline.CodeOutOfRange, "", "a timeout must be more than 0")
			}
		case f.Name == "optional":
			f.Value.Decode(&s.Optional)
		case made[f.Name] == nil:
			f.Key.UnknownKey(known)
			unknown = true
		case s.action != nil:
			f.Key.Problem("two-steps", "begin a new list entry with \"- "+f.Name+"\"", "%q in the step %q: a step does one thing", f.Name, s.Name)
		default:
			s.Name, s.Pos, s.action = f.Name, f.Key.Pos(), made[f.Name]
			if !misplaced(s.action, s.Name, f.Value) {
				decodeAction(s.action, f.Value)
			}
		}
	}
	if s.action == nil && !unknown {
		n.Problem("no-step", "add one, such as navigate", "there is no step name")
	}
}

// short is implemented by actions that may be written as one value.
type short interface {
	// scalar returns where the value goes.
	scalar() any
}

// checker is implemented by actions that check more than types.
type checker interface {
	check(n *pipeline.Node)
}

// misplaced reports common keys of a step that stand inside its mapping. extract,
// which decodes itself, has names of its reader's own there.
func misplaced(a action, step string, n *pipeline.Node) (found bool) {
	if _, own := a.(interface{ UnmarshalNode(*pipeline.Node) }); own || n.Kind() != pipeline.KindMap {
		return false
	}
	for _, f := range n.Fields() {
		if f.Name == "timeout" || f.Name == "optional" {
			f.Key.Problem(pipeline.CodeUnknownKey, fmt.Sprintf("%s stands beside the step's name: { %s: ..., %s: ... }", f.Name, step, f.Name),
				"unknown key %q in the step %q", f.Name, step)
			found = true
		}
	}
	return found
}

func decodeAction(a action, n *pipeline.Node) {
	ok := false
	if s, is := a.(short); is && n.Kind() == pipeline.KindScalar {
		ok = n.Decode(s.scalar())
	} else {
		ok = n.Decode(a)
	}
	if c, is := a.(checker); is && ok {
		c.check(n)
	}
}

// stepKeys are the keys beside a step's name.
type stepKeys struct {
	// Longest time of the step; the default is stepTimeout.
	Timeout pipeline.Duration `yaml:"timeout,optional"`
	// Whether the step may fail; the next one runs all the same.
	Optional bool `yaml:"optional,optional"`
}

// Variants lists what stands behind each step name, for schema and reference.
func (Step) Variants() (map[string]pipeline.Variant, reflect.Type) {
	out := map[string]pipeline.Variant{}
	for name, a := range actions() {
		v := pipeline.Variant{Type: reflect.TypeOf(a).Elem()}
		if s, ok := a.(short); ok {
			v.Short = reflect.TypeOf(s.scalar()).Elem()
		}
		out[name] = v
	}
	// extract decodes itself, to keep the order of its fields.
	out["extract"] = pipeline.Variant{Type: reflect.TypeFor[extractFields](), Short: reflect.TypeFor[string]()}
	return out, reflect.TypeFor[stepKeys]()
}

// NodeSchema describes one selector or a list of alternatives.
func (selectors) NodeSchema() json.RawMessage {
	return json.RawMessage(`{"type":["string","array"],"items":{"type":"string"},"minItems":1}`)
}

// NodeSchema describes a script: text without ${{ }}.
func (script) NodeSchema() json.RawMessage { return json.RawMessage(`{"type":"string"}`) }

// NodeSchema describes one status or range, or a list of them.
func (statuses) NodeSchema() json.RawMessage {
	return json.RawMessage(`{"type":["integer","string","array"],"items":{"type":["integer","string"]}}`)
}
