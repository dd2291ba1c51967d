package execute

import (
	"context"
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

	stepKeys
	action action
	// recording is set in the first step of a recording: the evidence names the
	// file, whose steps are not part of the pipeline's own text.
	recording *pipeline.Dependency
}

// stepKeys are the keys beside a step's name.
type stepKeys struct {
	// What the step is for; failures cite it.
	Title string `yaml:"name,optional"`
	// Longest time of the step; the default is stepTimeout. Of if and repeat it
	// is the time of all that they do, and has no default.
	Timeout pipeline.Duration `yaml:"timeout,optional"`
	// Whether the step may fail; the next one runs all the same. The end of the
	// page, the browser or the item's time is never optional.
	Optional bool `yaml:"optional,optional"`
	// Condition on the item under which the step runs.
	When *pipeline.Condition `yaml:"when,optional"`
	// What must hold on the page before the step; else the item fails for good.
	Require *condition `yaml:"require,optional"`
	// What must hold on the page after the step, at the latest when its time is
	// over.
	Expect *condition `yaml:"expect,optional"`
	// Events that the step causes, under the Recorder's name.
	Events []assertedEvent `yaml:"assertedEvents,optional"`
}

// action is what a step does. It is shared by all items and does not change.
type action interface {
	run(ctx context.Context, v *visit) error
}

// actions make the action of each step, to be decoded into.
func actions() map[string]action {
	return map[string]action{
		// the Recorder's vocabulary
		"setViewport":              &setViewport{},
		"navigate":                 &navigate{},
		"click":                    &click{count: 1},
		"doubleClick":              &doubleClick{click{count: 2}},
		"hover":                    &hover{},
		"change":                   &change{},
		"keyDown":                  &keyDown{},
		"keyUp":                    &keyUp{},
		"scroll":                   &scroll{},
		"waitForElement":           &waitForElement{},
		"waitForExpression":        &waitForExpression{},
		"close":                    &closePage{},
		"emulateNetworkConditions": &emulateNetwork{},
		"customStep":               &customStep{},
		// moving about and filling in
		"back":     &back{},
		"forward":  &forward{},
		"reload":   &reload{},
		"type":     &typeText{},
		"fill":     &fill{},
		"press":    &press{},
		"select":   &selectOption{},
		"check":    &check{},
		"uncheck":  &uncheck{},
		"upload":   &upload{},
		"download": &download{},
		// reading
		"extract":    &extract{},
		"evaluate":   &evaluate{},
		"html":       &html{},
		"mhtml":      &mhtml{},
		"pdf":        &pdf{},
		"screenshot": &screenshot{},
		"console":    &console{},
		// what the page believes
		"cookies":     &cookies{},
		"headers":     &headers{},
		"userAgent":   &userAgent{},
		"emulate":     &emulate{},
		"geolocation": &geolocation{},
		// control
		"assert": &assert{},
		"if":     &ifStep{},
		"repeat": &repeat{},
	}
}

// Names lists the steps, sorted.
func Names() []string { return slices.Sorted(maps.Keys(actions())) }

// commonNames lists the keys of stepKeys.
func commonNames() []string {
	return []string{"name", "timeout", "optional", "when", "require", "expect", "assertedEvents"}
}

// UnmarshalNode reads a step.
func (s *Step) UnmarshalNode(n *pipeline.Node) {
	s.Pos = n.Pos()
	if n.Kind() != pipeline.KindMap {
		n.Problem(pipeline.CodeWrongType, "write a step as \"- navigate: ...\"", "want a step, got %s", n.Kind())
		return
	}
	made := actions()
	known := append(Names(), commonNames()...)
	unknown := false
	for _, f := range n.Fields() {
		switch {
		case slices.Contains(commonNames(), f.Name):
			s.decodeCommon(f)
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

// decodeCommon decodes one of the common keys.
func (k *stepKeys) decodeCommon(f pipeline.NodeField) {
	to := map[string]any{"name": &k.Title, "timeout": &k.Timeout, "optional": &k.Optional, "when": &k.When,
		"require": &k.Require, "expect": &k.Expect, "assertedEvents": &k.Events}[f.Name]
	if !f.Value.Decode(to) {
		return
	}
	switch f.Name {
	case "timeout":
		if k.Timeout <= 0 {
			f.Value.Problem(pipeline.CodeOutOfRange, "", "a timeout must be more than 0")
		}
	case "require", "expect":
		to := to.(**condition)
		(*to).check(f.Value)
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

// misplaced reports common keys of a step that stand inside its mapping. extract
// and headers have names of the reader's own there.
func misplaced(a action, step string, n *pipeline.Node) (found bool) {
	if _, own := a.(interface{ UnmarshalNode(*pipeline.Node) }); own || n.Kind() != pipeline.KindMap {
		return false
	}
	for _, f := range n.Fields() {
		if f.Name != "name" && slices.Contains(commonNames(), f.Name) {
			f.Key.Problem(pipeline.CodeUnknownKey, fmt.Sprintf("%s stands beside the step's name: { %s: ..., %s: ... }", f.Name, step, f.Name),
				"unknown key %q in the step %q", f.Name, step)
			found = true
		}
	}
	return found
}

func decodeAction(a action, n *pipeline.Node) {
	ok := false
	if s, is := a.(short); is && n.Kind() != pipeline.KindMap && n.Kind() != pipeline.KindNull {
		ok = n.Decode(s.scalar())
	} else {
		ok = n.DecodeConfig(a)
	}
	if c, is := a.(checker); is && ok {
		c.check(n)
	}
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
	out["headers"] = pipeline.Variant{Type: reflect.TypeFor[headerValues]()}
	return out, reflect.TypeFor[stepKeys]()
}
