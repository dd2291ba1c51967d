package transform

import (
	"context"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/waybill-dev/waybill/pipeline"
)

func template(t *testing.T, v any) *pipeline.Template {
	t.Helper()
	tpl, err := pipeline.NewTemplate(v)
	if err != nil {
		t.Fatal(err)
	}
	return tpl
}

func process(t *testing.T, cfg Config, it *pipeline.Item) error {
	t.Helper()
	s, err := New(context.Background(), cfg, pipeline.Env{})
	if err != nil {
		t.Fatal(err)
	}
	return s.Process(context.Background(), it)
}

func item() *pipeline.Item {
	return &pipeline.Item{ID: "1", Meta: map[string]string{"host": "example.com", "tmp": "x"},
		Body: pipeline.JSONBody(map[string]any{"n": 1, "deep": map[string]any{"a": 1, "b": 2}})}
}

func body(t *testing.T, it *pipeline.Item) any {
	t.Helper()
	v, err := it.Body.Value()
	if err != nil {
		t.Fatal(err)
	}
	return v
}

func TestTransform(t *testing.T) {
	tests := map[string]struct {
		cfg  func(t *testing.T) Config
		body any
		meta map[string]string
	}{
		"replace": {
			func(t *testing.T) Config {
				return Config{Body: template(t, map[string]any{"host": "${{ item.meta.host }}", "n": "${{ item.body.n + 1 }}"})}
			},
			map[string]any{"host": "example.com", "n": 2},
			map[string]string{"host": "example.com", "tmp": "x"},
		},
		"merge": {
			func(t *testing.T) Config {
				return Config{Merge: true, Body: template(t, map[string]any{"n": "v${{ item.body.n }}"})}
			},
			map[string]any{"n": "v1", "deep": map[string]any{"a": 1, "b": 2}},
			map[string]string{"host": "example.com", "tmp": "x"},
		},
		"meta sees the old body": {
			func(t *testing.T) Config {
				return Config{Body: template(t, map[string]any{"n": 9}), Meta: map[string]*pipeline.Template{"n": template(t, "${{ item.body.n }}")}}
			},
			map[string]any{"n": 9},
			map[string]string{"host": "example.com", "tmp": "x", "n": "1"},
		},
		"remove": {
			func(*testing.T) Config {
				return Config{Remove: []string{"body.deep.a", "body.none.x", "meta.tmp", "meta.none"}}
			},
			map[string]any{"n": 1, "deep": map[string]any{"b": 2}},
			map[string]string{"host": "example.com"},
		},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			it := item()
			if err := process(t, tt.cfg(t), it); err != nil {
				t.Fatal(err)
			}
			if d := cmp.Diff(tt.body, body(t, it)); d != "" {
				t.Error("body:", d)
			}
			if d := cmp.Diff(tt.meta, it.Meta); d != "" {
				t.Error("meta:", d)
			}
		})
	}
}

// A failing expression must leave everything as it was, whichever it is.
func TestAllOrNothing(t *testing.T) {
	bad := "${{ item.body.list[3] + 1 }}"
	for name, cfg := range map[string]Config{
		"body fails": {Body: template(t, map[string]any{"x": bad}), Meta: map[string]*pipeline.Template{"m": template(t, "1")}, Remove: []string{"meta.tmp"}},
		"meta fails": {Body: template(t, map[string]any{"x": 1}), Meta: map[string]*pipeline.Template{"m": template(t, bad)}, Remove: []string{"body.deep"}},
	} {
		t.Run(name, func(t *testing.T) {
			it := item()
			err := process(t, cfg, it)
			if err == nil || pipeline.KindOf(err) != pipeline.Permanent {
				t.Fatalf("error %v, want a permanent one", err)
			}
			if d := cmp.Diff(body(t, item()), body(t, it)) + cmp.Diff(item().Meta, it.Meta); d != "" {
				t.Error("the item changed:", d)
			}
		})
	}
}

// Body values are shared between items (split gives children parts of their
// parent): a removal must not reach the other holder.
func TestRemoveCopies(t *testing.T) {
	shared := map[string]any{"deep": map[string]any{"a": 1, "b": 2}}
	it := &pipeline.Item{Body: pipeline.JSONBody(shared)}
	if err := process(t, Config{Remove: []string{"body.deep.a"}}, it); err != nil {
		t.Fatal(err)
	}
	if d := cmp.Diff(map[string]any{"deep": map[string]any{"a": 1, "b": 2}}, shared); d != "" {
		t.Error("the shared value changed:", d)
	}
}

func TestMergeNeedsMaps(t *testing.T) {
	it := &pipeline.Item{Body: pipeline.JSONBody([]any{1})}
	err := process(t, Config{Merge: true, Body: template(t, map[string]any{"a": 1})}, it)
	if pipeline.CodeOf(err) != "merge" {
		t.Fatalf("error %v, want code merge", err)
	}
}

func TestParsePath(t *testing.T) {
	for _, bad := range []string{"", "body", "body.", "meta", "other.x", "body..x", "body.x."} {
		if p, err := parsePath(bad); err == nil {
			t.Errorf("parsePath(%q) = %v, want an error", bad, p)
		}
	}
	if p, err := parsePath("meta.a.b"); err != nil || !p.meta || p.fields[0] != "a.b" {
		t.Errorf("parsePath(meta.a.b) = %v, %v: a meta name may hold dots", p, err)
	}
}
