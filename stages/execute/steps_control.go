package execute

import (
	"context"

	"github.com/waybill-dev/waybill/pipeline"
)

// ifStep runs steps if something holds on the page now, and others if not. Wait
// before for what takes time; for what the item says there is when.
type ifStep struct {
	condition `yaml:",inline"`
	// Steps for when it holds.
	Then Steps `yaml:"then,optional"`
	// Steps for when it does not hold.
	Else Steps `yaml:"else,optional"`
}

func (a *ifStep) check(n *pipeline.Node) {
	a.condition.check(n)
	if a.Then == nil && a.Else == nil {
		n.MissingKey("then")
	}
}

func (a *ifStep) steps() []Steps { return []Steps{a.Then, a.Else} }

func (a *ifStep) run(ctx context.Context, v *visit) error {
	why, err := a.holds(ctx, v)
	if err != nil {
		return err
	}
	if why != "" {
		return v.run(ctx, a.Else)
	}
	return v.run(ctx, a.Then)
}

// repeat runs steps again and again until something holds on the page. It looks
// before each round, so there may be none.
type repeat struct {
	// What ends it.
	Until *condition `yaml:"until,optional"`
	// Most rounds. With until, more of them are a failure; without, it is how
	// often the steps run.
	Max int `yaml:"max" min:"1" max:"10000"`
	// Steps of one round.
	Steps Steps `yaml:"steps"`
}

func (a *repeat) check(n *pipeline.Node) {
	if a.Until != nil {
		a.Until.check(n.Lookup("until"))
	}
	if len(a.Steps) == 0 {
		n.Lookup("steps").Problem(pipeline.CodeEmptyValue, "", "there is no step")
	}
}

func (a *repeat) steps() []Steps { return []Steps{a.Steps} }

func (a *repeat) run(ctx context.Context, v *visit) error {
	for round := 0; ; round++ {
		why := ""
		if a.Until != nil {
			var err error
			if why, err = a.Until.holds(ctx, v); err != nil || why == "" {
				return err
			}
		}
		switch {
		case round < a.Max:
		case a.Until == nil:
			return nil
		default:
			return pipeline.Again("too-many-rounds", "after %d rounds %s", round, why).WithHint("raise max, or look whether until can come true")
		}
		if err := ctx.Err(); err != nil {
			return err
		}
		if err := v.run(ctx, a.Steps); err != nil {
			return err
		}
	}
}

// customStep is a step that the Recorder does not know, in a recording: the name
// is waybill. and that of one of the steps here, the parameters are its keys.
type customStep struct {
	// waybill.extract, waybill.screenshot, ...
	Name string `yaml:"name"`
	// Keys of that step.
	Parameters *anyNode `yaml:"parameters,optional"`
	// Frame, which other tools write; it belongs into the parameters.
	Frame frame `yaml:"frame,optional"`
	// Page that is meant; there is only main.
	Target target `yaml:"target,optional"`

	inner action
}

// anyNode keeps a value to be decoded later.
type anyNode struct{ node *pipeline.Node }

// UnmarshalNode keeps the value.
func (a *anyNode) UnmarshalNode(n *pipeline.Node) { a.node = n }

// customPrefix begins the names of our steps in recordings.
const customPrefix = "waybill."

func (a *customStep) check(n *pipeline.Node) {
	var known []string
	for _, name := range Names() {
		if name != "customStep" {
			known = append(known, customPrefix+name)
		}
	}
	name := n.Lookup("name")
	for _, k := range known {
		if k == a.Name {
			a.inner = actions()[a.Name[len(customPrefix):]]
		}
	}
	switch {
	case a.inner == nil:
		name.Problem("unknown-custom-step", pipeline.Suggest(a.Name, known), "there is no custom step %q, and skipping it would not be what was recorded", a.Name)
	case a.Parameters == nil:
		n.MissingKey("parameters")
	default:
		decodeAction(a.inner, a.Parameters.node)
	}
}

func (a *customStep) steps() []Steps {
	if c, ok := a.inner.(control); ok {
		return c.steps()
	}
	return nil
}

func (a *customStep) run(ctx context.Context, v *visit) error { return a.inner.run(ctx, v) }
