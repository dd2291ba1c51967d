// Package transform reshapes an item with expressions: it sets the body and
// the metadata, and removes what later stages must not see.
//
//   - transform:
//     body: { title: "${{ item.body.title }}", host: "${{ item.meta.host }}" }
//     meta: { lang: "${{ item.body.lang }}" }
//     remove: [ body.raw, meta.cookie ]
//
// In: any item. Out: the same item, changed completely or not at all: every
// expression is evaluated against the item as it came in before anything is
// written, so the order of keys in the file means nothing and a failing
// expression leaves the item as it was. Expressions have no clock and no
// randomness, so the result is a pure function of the item; that makes the
// stage replayable. It knows nothing of queues, stores or the network.
package transform

import (
	"context"
	"fmt"
	"maps"

	"github.com/waybill-dev/waybill/pipeline"
)

// Config says what changes. At least one of body, meta and remove is needed.
type Config struct {
	// New body: a value, list or map whose strings may hold ${{ expressions }}.
	Body *pipeline.Template `yaml:"body,optional"`
	// Put the fields of body into the old body, one level deep, instead of replacing it. Both must be maps.
	Merge bool `yaml:"merge,optional"`
	// Metadata to set; each value becomes text.
	Meta map[string]*pipeline.Template `yaml:"meta,optional"`
	// Fields to remove, as body.a.b or meta.a; one that is not there is no error.
	Remove []string `yaml:"remove,optional"`
}

// Def returns the stage's definition.
func Def() pipeline.Def {
	return pipeline.Define("transform", "sets body and meta with expressions, all or nothing", Config{}, New)
}

// Validate reports a config without effect and paths that name nothing.
func (c Config) Validate(v *pipeline.Validation) {
	if c.Body.IsZero() && len(c.Meta) == 0 && len(c.Remove) == 0 {
		v.Problem("", pipeline.CodeMissingKey, "set body, meta or remove", "this transform changes nothing")
	}
	if c.Merge && c.Body.IsZero() {
		v.Problem("merge", pipeline.CodeBadValue, "give body the fields to merge", "merge needs a body")
	}
	for i, p := range c.Remove {
		if _, err := parsePath(p); err != nil {
			v.Problem(fmt.Sprintf("remove[%d]", i), pipeline.CodeBadValue, "write body.field or meta.name", "%v", err)
		}
	}
}

type stage struct {
	cfg    Config
	remove []path
}

// New makes the stage.
func New(_ context.Context, cfg Config, _ pipeline.Env) (pipeline.Stage, error) {
	s := &stage{cfg: cfg}
	for _, text := range cfg.Remove {
		p, err := parsePath(text)
		if err != nil {
			return nil, err
		}
		s.remove = append(s.remove, p)
	}
	return s, nil
}

// Process evaluates everything first and then writes it.
func (s *stage) Process(_ context.Context, it *pipeline.Item) error {
	body, bodyChanged, err := s.body(it)
	if err != nil {
		return err
	}
	meta, err := s.meta(it)
	if err != nil {
		return err
	}
	if bodyChanged {
		it.Body = pipeline.JSONBody(body)
	}
	it.Meta = meta
	return nil
}

func (s *stage) body(it *pipeline.Item) (value any, changed bool, err error) {
	if s.cfg.Body.IsZero() && !s.removesBody() {
		return nil, false, nil
	}
	if s.cfg.Body.IsZero() || s.cfg.Merge {
		if value, err = it.Body.Value(); err != nil {
			return nil, false, pipeline.Fail("body", "%w", err)
		}
	}
	if !s.cfg.Body.IsZero() {
		made, err := s.cfg.Body.Eval(it)
		if err != nil {
			return nil, false, err
		}
		if !s.cfg.Merge {
			value = made
		} else if value, err = merge(value, made); err != nil {
			return nil, false, err
		}
	}
	for _, p := range s.remove {
		if !p.meta {
			value = without(value, p.fields)
		}
	}
	return value, true, nil
}

func (s *stage) removesBody() bool {
	for _, p := range s.remove {
		if !p.meta {
			return true
		}
	}
	return false
}

func (s *stage) meta(it *pipeline.Item) (map[string]string, error) {
	made := make(map[string]string, len(s.cfg.Meta))
	for name, t := range s.cfg.Meta {
		text, err := t.Text(it)
		if err != nil {
			return nil, err
		}
		made[name] = text
	}
	if len(made) == 0 && len(s.remove) == 0 {
		return it.Meta, nil
	}
	out := maps.Clone(it.Meta)
	if out == nil {
		out = make(map[string]string, len(made))
	}
	for _, p := range s.remove {
		if p.meta {
			delete(out, p.fields[0])
		}
	}
	maps.Copy(out, made)
	return out, nil
}

// merge puts the fields of made over those of old without touching either.
func merge(old, made any) (any, error) {
	oldMap, ok := old.(map[string]any)
	if !ok && old != nil {
		return nil, pipeline.Fail("merge", "merge: the item's body is %s, not a map", kindOf(old)).
			WithHint("leave out merge to replace the body")
	}
	madeMap, ok := made.(map[string]any)
	if !ok {
		return nil, pipeline.Fail("merge", "merge: the new body is %s, not a map", kindOf(made))
	}
	out := make(map[string]any, len(oldMap)+len(madeMap))
	maps.Copy(out, oldMap)
	maps.Copy(out, madeMap)
	return out, nil
}

func kindOf(v any) string {
	switch v.(type) {
	case nil:
		return "empty"
	case string:
		return "a text"
	case []any:
		return "a list"
	case bool:
		return "a truth value"
	}
	return "a number"
}
