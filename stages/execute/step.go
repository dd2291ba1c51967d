package execute

import (
	"context"
	"encoding/json"
	"maps"
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
			decodeAction(s.action, f.Value)
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

// NodeSchema describes a step: one of the names, and the common keys.
func (Step) NodeSchema() json.RawMessage {
	properties := map[string]any{"timeout": map[string]any{"type": "string"}, "optional": map[string]any{"type": "boolean"}}
	var one []any
	for _, name := range Names() {
		properties[name] = map[string]any{}
		one = append(one, map[string]any{"required": []string{name}})
	}
	b, _ := json.Marshal(map[string]any{"type": "object", "properties": properties, "additionalProperties": false, "oneOf": one})
	return b
}
