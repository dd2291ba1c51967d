package split

import (
	"context"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/waybill-dev/waybill/pipeline"
)

func expr(t *testing.T, src string) *pipeline.Expr {
	t.Helper()
	e, err := pipeline.CompileExpr(src)
	if err != nil {
		t.Fatal(err)
	}
	return e
}

func split(t *testing.T, cfg Config, it *pipeline.Item) ([]*pipeline.Item, error) {
	t.Helper()
	if cfg.Limit == 0 {
		cfg.Limit = 100
	}
	s, err := New(context.Background(), cfg, pipeline.Env{})
	if err != nil {
		t.Fatal(err)
	}
	err = s.Process(context.Background(), it)
	return it.TakeEmitted(), err
}

func parent() *pipeline.Item {
	return &pipeline.Item{ID: "p", Key: "k", Meta: map[string]string{"m": "1"}, Input: []byte("in"), Token: 7,
		Body: pipeline.JSONBody(map[string]any{"site": "s", "links": []any{"a", "b"}})}
}

type child struct {
	ID, Key string
	Body    any
}

func summary(t *testing.T, items []*pipeline.Item) (out []child) {
	t.Helper()
	for _, it := range items {
		v, err := it.Body.Value()
		if err != nil {
			t.Fatal(err)
		}
		out = append(out, child{it.ID, it.Key, v})
	}
	return out
}

func TestSplit(t *testing.T) {
	tests := map[string]struct {
		cfg  func(t *testing.T) Config
		want []child
	}{
		"elements": {
			func(t *testing.T) Config { return Config{Each: expr(t, "item.body.links")} },
			[]child{{"p/0", "k", "a"}, {"p/1", "k", "b"}},
		},
		"as": {
			func(t *testing.T) Config { return Config{Each: expr(t, "item.body.links"), As: "link"} },
			[]child{
				{"p/0", "k", map[string]any{"site": "s", "links": []any{"a", "b"}, "link": "a"}},
				{"p/1", "k", map[string]any{"site": "s", "links": []any{"a", "b"}, "link": "b"}}},
		},
		"a range": {
			func(t *testing.T) Config { return Config{Each: expr(t, "1..2")} },
			[]child{{"p/0", "k", 1}, {"p/1", "k", 2}},
		},
		"what a function makes": {
			func(t *testing.T) Config { return Config{Each: expr(t, `split("x y", " ")`)} },
			[]child{{"p/0", "k", "x"}, {"p/1", "k", "y"}},
		},
		"key of the child": {
			func(t *testing.T) Config { return Config{Each: expr(t, "item.body.links"), Key: expr(t, "item.body")} },
			[]child{{"p/0", "a", "a"}, {"p/1", "b", "b"}},
		},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			it := parent()
			got, err := split(t, tt.cfg(t), it)
			if err != nil {
				t.Fatal(err)
			}
			if d := cmp.Diff(tt.want, summary(t, got)); d != "" {
				t.Error(d)
			}
			again, err := split(t, tt.cfg(t), parent())
			if err != nil {
				t.Fatal(err)
			}
			if d := cmp.Diff(summary(t, got), summary(t, again)); d != "" {
				t.Error("a second attempt makes other children:", d)
			}
		})
	}
}

func TestChildrenInherit(t *testing.T) {
	it := parent()
	it.DependOn(pipeline.Dependency{Name: "browser"})
	got, err := split(t, Config{Each: expr(t, "item.body.links")}, it)
	if err != nil {
		t.Fatal(err)
	}
	c := got[0]
	if c.Parent != it || c.Token != 7 || string(c.Input) != "in" || len(c.Dependencies) != 1 {
		t.Errorf("the child lost something of its parent: %+v", c)
	}
	c.SetMeta("m", "changed")
	if got[1].Meta["m"] != "1" || it.Meta["m"] != "1" {
		t.Error("metadata is shared: one child's change reached another item")
	}
}

func TestWholeBody(t *testing.T) {
	it := &pipeline.Item{ID: "p", Body: pipeline.RawBody([]byte(`[1,{"a":2}]`), "")}
	got, err := split(t, Config{}, it)
	if err != nil {
		t.Fatal(err)
	}
	if d := cmp.Diff([]child{{"p/0", "", 1}, {"p/1", "", map[string]any{"a": 2}}}, summary(t, got)); d != "" {
		t.Error(d)
	}
}

func TestNoChildren(t *testing.T) {
	tests := map[string]struct {
		cfg  Config
		body any
		kind pipeline.Kind
		code string
	}{
		"empty list":    {Config{}, []any{}, pipeline.Skip, "skipped"},
		"not a list":    {Config{}, map[string]any{"a": 1}, pipeline.Permanent, "not-a-list"},
		"nothing":       {Config{}, nil, pipeline.Permanent, "not-a-list"},
		"over limit":    {Config{Limit: 2}, []any{1, 2, 3}, pipeline.Permanent, "too-many-children"},
		"as on no map":  {Config{As: "x"}, []any{1}, pipeline.Permanent, "not-a-map"},
		"key is no key": {Config{Key: expr(t, "item.body.x")}, []any{map[string]any{"x": "ok"}, map[string]any{"x": []any{}}}, pipeline.Permanent, "expression"},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			got, err := split(t, tt.cfg, &pipeline.Item{ID: "p", Body: pipeline.JSONBody(tt.body)})
			if len(got) != 0 {
				t.Errorf("%d children were emitted", len(got))
			}
			if err == nil || pipeline.KindOf(err) != tt.kind || pipeline.CodeOf(err) != tt.code {
				t.Errorf("error %v (%s, %s), want %s, %s", err, pipeline.KindOf(err), pipeline.CodeOf(err), tt.kind, tt.code)
			}
		})
	}
}
