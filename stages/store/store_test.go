package store

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/waybill-dev/waybill/pipeline"
)

func start(t *testing.T, dir string, cfg Config) *Stage {
	t.Helper()
	s, err := New(t.Context(), cfg, pipeline.Env{Dir: dir})
	if err != nil {
		t.Fatal(err)
	}
	if err := s.Start(t.Context()); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { s.Close() })
	return s
}

func page() *pipeline.Item {
	it := &pipeline.Item{ID: "1", Body: pipeline.RawBody([]byte(`{ "b": [3, 1], "a": "e\u0301" }`), "")}
	it.SetArtifact(pipeline.Artifact{Name: "page.png", MediaType: "image/png", Data: []byte("png")})
	it.SetArtifact(pipeline.Artifact{Name: "log.txt", Data: []byte("text")})
	return it
}

func output(name, media, content string, copies int) pipeline.Output {
	return pipeline.Output{Name: name, MediaType: media, Digest: pipeline.DigestOf([]byte(content)), Size: int64(len(content)), Copies: copies}
}

func TestStore(t *testing.T) {
	canonical := `{"a":"é","b":[3,1]}`
	body, png := output("body", pipeline.MediaJSON, canonical, 1), output("page.png", "image/png", "png", 1)
	text := output("log.txt", pipeline.MediaBinary, "text", 1)
	for name, tc := range map[string]struct {
		what []string
		want []pipeline.Output
	}{
		"default":   {nil, []pipeline.Output{body, png, text}},
		"body":      {[]string{"body"}, []pipeline.Output{body}},
		"artifacts": {[]string{"artifacts"}, []pipeline.Output{png, text}},
		"one":       {[]string{"page.png", "artifacts"}, []pipeline.Output{png, text}},
	} {
		t.Run(name, func(t *testing.T) {
			s := start(t, t.TempDir(), Config{To: Places{"file:o"}, What: tc.what})
			it := page()
			if err := s.Process(t.Context(), it); err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(tc.want, it.Outputs); diff != "" {
				t.Error(diff)
			}
			for _, o := range it.Outputs {
				if b, err := s.objects.Get(t.Context(), o.Digest); err != nil || int64(len(b)) != o.Size {
					t.Errorf("%s: %q, %v", o.Name, b, err)
				}
			}
		})
	}
}

// JSON with a number that no double holds keeps its bytes instead of another value.
func TestBodyWithoutCanonicalForm(t *testing.T) {
	s := start(t, t.TempDir(), Config{To: Places{"file:o"}})
	raw := `{ "id": 12345678901234567890 }`
	it := &pipeline.Item{Body: pipeline.RawBody([]byte(raw), pipeline.MediaJSON)}
	if err := s.Process(t.Context(), it); err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff([]pipeline.Output{output("body", pipeline.MediaJSON, raw, 1)}, it.Outputs); diff != "" {
		t.Error(diff)
	}
}

func TestCopies(t *testing.T) {
	for name, cfg := range map[string]Config{
		"replicas": {To: Places{"file:o"}, Copies: 2},
		"places":   {To: Places{"file:a", "file:b"}, Copies: 2},
	} {
		t.Run(name, func(t *testing.T) {
			s := start(t, t.TempDir(), cfg)
			it := page()
			if err := s.Process(t.Context(), it); err != nil {
				t.Fatal(err)
			}
			for _, o := range it.Outputs {
				checks, err := s.objects.Check(t.Context(), o.Digest)
				if err != nil || o.Copies != 2 || len(checks) != 2 || checks[0].State != "ok" || checks[1].State != "ok" {
					t.Errorf("%s: %d copies, %+v, %v", o.Name, o.Copies, checks, err)
				}
			}
		})
	}
}

// One item that cannot be stored does not take its batch with it.
func TestBatchWithBadItem(t *testing.T) {
	dir := t.TempDir()
	s := start(t, dir, Config{To: Places{"file:o"}, What: []string{"body", "page.png"}})
	damaged := filepath.Join(dir, "o/blobs/sha256", pipeline.DigestOf([]byte("damaged")).Hex())
	if err := os.WriteFile(damaged, []byte("x"), 0o644); err != nil {
		t.Fatal(err)
	}
	with := func(artifact string) *pipeline.Item {
		it := page()
		it.Artifact("page.png").Data = []byte(artifact)
		return it
	}
	items := []*pipeline.Item{with("fine"), with("damaged"), {ID: "3", Body: pipeline.JSONBody(1)}, with("fine too")}
	errs := s.ProcessBatch(t.Context(), items)
	for i, want := range []string{"", "corrupt", "no-artifact", ""} {
		if pipeline.CodeOf(errs[i]) != want {
			t.Errorf("item %d: %v, want code %q", i, errs[i], want)
		}
		if stored := len(items[i].Outputs); stored != map[bool]int{true: 2, false: 0}[want == ""] {
			t.Errorf("item %d has %d outputs", i, stored)
		}
	}
	if pipeline.KindOf(errs[1]) != pipeline.Permanent {
		t.Errorf("a damaged object is %s", pipeline.KindOf(errs[1]))
	}
}

// fewCopies acknowledges fewer copies than asked for.
type fewCopies struct{ pipeline.Objects }

func (fewCopies) Put(context.Context, []pipeline.Blob) (int, error) { return 1, nil }

func TestFewerCopiesFail(t *testing.T) {
	s := start(t, t.TempDir(), Config{To: Places{"file:o"}, Copies: 2})
	s.objects = fewCopies{s.objects}
	it := page()
	err := s.Process(t.Context(), it)
	if err == nil || !strings.Contains(err.Error(), "1 of 2 copies") || it.Outputs != nil || pipeline.KindOf(err) != pipeline.Retry {
		t.Errorf("%v, outputs %v", err, it.Outputs)
	}
}

func TestUnwritable(t *testing.T) {
	dir := t.TempDir()
	if err := os.WriteFile(filepath.Join(dir, "o"), nil, 0o644); err != nil {
		t.Fatal(err)
	}
	s, err := New(t.Context(), Config{To: Places{"file:o"}}, pipeline.Env{Dir: dir})
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	err = s.Start(t.Context())
	if err == nil || !strings.Contains(err.Error(), "cannot write to the object store file:o") || strings.Contains(err.Error(), "\n") {
		t.Errorf("got %v, want one clear line", err)
	}
}

func TestCancelled(t *testing.T) {
	s := start(t, t.TempDir(), Config{To: Places{"file:o"}})
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if err := s.Process(ctx, page()); !errors.Is(err, context.Canceled) || pipeline.KindOf(err) != pipeline.Cancelled {
		t.Errorf("got %v", err)
	}
}

// An item pays for its bytes once, whatever the copies; one that cannot pay
// stores nothing and keeps nobody else from it.
func TestBudget(t *testing.T) {
	s := start(t, t.TempDir(), Config{To: Places{"file:o"}, Copies: 2, What: []string{"page.png"}})
	rich, poor := page(), page()
	poor.SetArtifact(pipeline.Artifact{Name: "page.png", Data: []byte("other")})
	rich.Budget, poor.Budget = pipeline.NewBudget(0, 10), pipeline.NewBudget(0, 4)
	errs := s.ProcessBatch(t.Context(), []*pipeline.Item{rich, poor})
	if errs[0] != nil || pipeline.CodeOf(errs[1]) != "budget-exceeded" || len(poor.Outputs) != 0 {
		t.Fatalf("errors %v, want the second item's budget exceeded", errs)
	}
	if a, b := rich.Budget.Spent(pipeline.UnitIO), poor.Budget.Spent(pipeline.UnitIO); a != 3 || b != 0 {
		t.Errorf("charged %d and %d, want 3 and 0", a, b)
	}
	if ok, err := s.objects.Has(t.Context(), pipeline.DigestOf([]byte("other"))); err != nil || ok {
		t.Errorf("what was not paid for is stored: %v", err)
	}
}
