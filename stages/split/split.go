// Package split turns one item into many: a child for each element of a list.
//
//   - split: { each: item.body.links, as: link, key: item.body.link.host }
//
// In: an item whose list is named by each. Out: its children, which go on at
// the next stage; the parent goes no further, shares its budget, deadline and
// lease with them and is acknowledged when the last has ended, as a success
// only if all succeeded. A child's id is the parent's id, "/" and the
// element's index from 0, so that a second attempt makes the same children and
// stores that know an id see a repetition. Metadata, the claimed input and the
// dependencies are the parent's.
//
// An empty list ends the parent as skipped: nothing was done for it, and that
// is never reported as succeeded. Something that is not a list, or more
// elements than limit, is a permanent failure, and no child is emitted.
package split

import (
	"context"
	"fmt"
	"maps"
	"reflect"

	"github.com/waybill-dev/waybill/pipeline"
)

// Config says what is split.
type Config struct {
	// Expression that yields a list; the default is the whole body.
	Each *pipeline.Expr `yaml:"each,optional"`
	// Field of a copy of the parent's body that holds the element; without it the element is the child's whole body.
	As string `yaml:"as,optional"`
	// Key of the child, as an expression over the child; the default is the parent's key.
	Key *pipeline.Expr `yaml:"key,optional"`
	// Most children of one item; more is a permanent failure.
	Limit int `yaml:"limit,optional" min:"1" max:"1000000"`
}

// Def returns the stage's definition. 10,000 children of one item still fit in
// memory and in one lease; more is better enqueued as items of their own.
func Def() pipeline.Def {
	return pipeline.Define("split", "makes one item per element of a list", Config{Limit: 10_000}, New)
}

type stage struct{ cfg Config }

// New makes the stage.
func New(_ context.Context, cfg Config, _ pipeline.Env) (pipeline.Stage, error) {
	return &stage{cfg}, nil
}

// Process makes all children before it emits the first, so that a failure
// emits none.
func (s *stage) Process(_ context.Context, it *pipeline.Item) error {
	list, err := s.list(it)
	if err != nil {
		return err
	}
	children := make([]*pipeline.Item, len(list))
	for i, element := range list {
		if children[i], err = s.child(it, i, element); err != nil {
			return err
		}
	}
	for _, c := range children {
		it.Emit(c)
	}
	return nil
}

func (s *stage) list(it *pipeline.Item) ([]any, error) {
	what, v, err := "item.body", any(nil), error(nil)
	if s.cfg.Each.IsZero() {
		if v, err = it.Body.Value(); err != nil {
			return nil, pipeline.Fail("body", "%w", err)
		}
	} else {
		what = s.cfg.Each.String()
		if v, err = s.cfg.Each.Eval(it); err != nil {
			return nil, err
		}
	}
	list, ok := asList(v)
	switch {
	case !ok:
		return nil, pipeline.Fail("not-a-list", "%s is %s, not a list", what, pipeline.TypeName(v)).
			WithHint("each must yield a list")
	case len(list) == 0:
		return nil, pipeline.SkipItem("%s is empty: nothing to split", what)
	case len(list) > s.cfg.Limit:
		return nil, pipeline.Fail("too-many-children", "%s has %d elements, the limit is %d", what, len(list), s.cfg.Limit).
			WithHint("raise split.limit or enqueue the elements as items")
	}
	return list, nil
}

// asList accepts what JSON gives and every other slice: the results of
// expressions have types of their own, such as []int for 1..3.
func asList(v any) ([]any, bool) {
	if list, ok := v.([]any); ok {
		return list, true
	}
	r := reflect.ValueOf(v)
	if r.Kind() != reflect.Slice {
		return nil, false
	}
	out := make([]any, r.Len())
	for i := range out {
		out[i] = r.Index(i).Interface()
	}
	return out, true
}

func (s *stage) child(it *pipeline.Item, i int, element any) (*pipeline.Item, error) {
	c := it.NewChild(i)
	c.Body = pipeline.JSONBody(element)
	if s.cfg.As != "" {
		body, err := s.wrap(it, element)
		if err != nil {
			return nil, err
		}
		c.Body = pipeline.JSONBody(body)
	}
	if s.cfg.Key.IsZero() {
		return c, nil
	}
	key, err := s.cfg.Key.Text(c)
	if err != nil {
		return nil, fmt.Errorf("element %d: %w", i, err)
	}
	c.Key = key
	return c, nil
}

// wrap puts the element into a copy of the parent's body.
func (s *stage) wrap(it *pipeline.Item, element any) (map[string]any, error) {
	v, err := it.Body.Value()
	if err != nil {
		return nil, pipeline.Fail("body", "%w", err)
	}
	parent, ok := v.(map[string]any)
	if !ok {
		return nil, pipeline.Fail("not-a-map", "as: %q needs a body that is a map, not %s", s.cfg.As, pipeline.TypeName(v))
	}
	body := make(map[string]any, len(parent)+1)
	maps.Copy(body, parent)
	body[s.cfg.As] = element
	return body, nil
}
