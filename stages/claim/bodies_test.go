package claim_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/waybill-dev/waybill/pipeline"
	"github.com/waybill-dev/waybill/stages/claim"
	"github.com/waybill-dev/waybill/stages/store"
)

// largeBody is one that no queue takes.
var largeBody = []byte(`{"text":"` + strings.Repeat("x", pipeline.MaxItemBody) + `"}`)

var largeRef = pipeline.BodyRef{Digest: pipeline.DigestOf(largeBody), Size: int64(len(largeBody))}

// site is a folder with a queue and an object store.
type site struct {
	*testing.T
	dir   string
	queue pipeline.Queue
}

func newSite(t *testing.T, items ...pipeline.NewItem) *site {
	t.Helper()
	s := &site{T: t, dir: t.TempDir()}
	objects := s.objects()
	if _, err := objects.Put(t.Context(), []pipeline.Blob{{Digest: largeRef.Digest, MediaType: pipeline.MediaJSON, Data: largeBody}}); err != nil {
		t.Fatal(err)
	}
	src, err := claim.Open(t.Context(), drivers, "sqlite:q.db", pipeline.QueueOptions{Dir: s.dir, Create: true})
	if err != nil {
		t.Fatal(err)
	}
	s.queue = src.(pipeline.Queue)
	t.Cleanup(func() { _ = s.queue.Close() })
	if _, err := s.queue.Enqueue(t.Context(), items); err != nil {
		t.Fatal(err)
	}
	return s
}

func (s *site) objects() pipeline.Objects {
	s.Helper()
	objects, err := store.Drivers()[0].Open(s.Context(), "file:objects", s.dir, true)
	if err != nil {
		s.Fatal(err)
	}
	s.Cleanup(func() { _ = objects.Close() })
	return objects
}

// object is the file of the large body.
func (s *site) object() string {
	return filepath.Join(s.dir, "objects", "blobs", "sha256", largeRef.Digest.Hex())
}

// source builds the stage claim.
func (s *site) source(config string) pipeline.Source {
	s.Helper()
	plan, problems := load(s.T, s.dir, config)
	if len(problems) > 0 {
		s.Fatal(problems)
	}
	made, err := plan.Stages[0].Build(s.Context(), pipeline.Env{Dir: s.dir})
	if err != nil {
		s.Fatal(err)
	}
	s.Cleanup(func() { _ = made.(pipeline.Closer).Close() })
	return made.(pipeline.Source)
}

const withStore = "{ from: 'sqlite:q.db', bodies: 'file:objects' }"

func referring(id string) pipeline.NewItem {
	return pipeline.NewItem{ID: id, Meta: map[string]string{"m": "1", pipeline.MetaBody: largeRef.String()}}
}

// A source that keeps its items finds the reference where it was.
func TestReferenceStays(t *testing.T) {
	s := newSite(t)
	meta := map[string]string{pipeline.MetaBody: largeRef.String()}
	src := claim.WithBodies(&given{items: []*pipeline.Item{{ID: "a", Meta: meta}}}, s.objects())
	if items, err := src.Claim(t.Context(), 1); err != nil || len(items) != 1 || len(items[0].Meta) != 0 || len(meta) != 1 {
		t.Errorf("claimed %v, error %v; the source's meta is %v", items, err, meta)
	}
}

// Stages find the item as if its body had been in the queue.
func TestReferencedBody(t *testing.T) {
	s := newSite(t, referring("large"), pipeline.NewItem{ID: "small", Body: []byte("1")})
	items, err := s.source(withStore).Claim(t.Context(), 5)
	if err != nil || len(items) != 2 {
		t.Fatalf("claimed %d, error %v", len(items), err)
	}
	large, small := items[0], items[1]
	body, err := large.Body.Bytes()
	if err != nil || !bytes.Equal(body, largeBody) || !bytes.Equal(large.Input, largeBody) || large.Body.MediaType() != pipeline.MediaJSON {
		t.Errorf("a body of %d bytes, an input of %d, error %v", len(body), len(large.Input), err)
	}
	if len(large.Meta) != 1 || large.Meta["m"] != "1" {
		t.Errorf("meta is %v", large.Meta)
	}
	if d := large.Dependencies; len(d) != 1 || d[0].Digest != largeRef.Digest {
		t.Errorf("the receipt is about %v", d)
	}
	if string(small.Input) != "1" || len(small.Dependencies) != 0 || large.Condemned != nil || small.Condemned != nil {
		t.Errorf("%+v", small)
	}
}

// What can never be had condemns the item; the receipt names the object all the
// same.
func TestBodyThatIsNowhere(t *testing.T) {
	for name, tc := range map[string]struct {
		config, code, hint string
		spoil              func(s *site) error
	}{
		"no store": {"{ from: 'sqlite:q.db' }", "body-elsewhere", "bodies: file:var/objects", nil},
		"corrupt": {withStore, "body-corrupt", "waybill blob verify", func(s *site) error {
			return errors.Join(os.Chmod(s.object(), 0o600), os.WriteFile(s.object(), bytes.ToUpper(largeBody), 0o600))
		}},
	} {
		t.Run(name, func(t *testing.T) {
			s := newSite(t, referring("a"))
			if tc.spoil != nil {
				if err := tc.spoil(s); err != nil {
					t.Fatal(err)
				}
			}
			items, err := s.source(tc.config).Claim(t.Context(), 1)
			if err != nil || len(items) != 1 {
				t.Fatalf("claimed %d, error %v", len(items), err)
			}
			it := items[0]
			var typed *pipeline.Error
			if !errors.As(it.Condemned, &typed) || typed.Code != tc.code || typed.Kind != pipeline.Permanent || !strings.Contains(typed.Hint, tc.hint) {
				t.Errorf("condemned with %v", it.Condemned)
			}
			if len(it.Dependencies) != 1 || it.Input != nil {
				t.Errorf("dependencies %v, input of %d bytes", it.Dependencies, len(it.Input))
			}
		})
	}
}

// A reference that lies about the size, or that cannot be read, is as bad.
func TestBadReference(t *testing.T) {
	lie := largeRef
	lie.Size--
	for text, code := range map[string]string{lie.String(): "body-corrupt", "nonsense": "bad-item"} {
		it := &pipeline.Item{ID: "a", Meta: map[string]string{pipeline.MetaBody: text}}
		s := newSite(t)
		src := claim.WithBodies(&given{items: []*pipeline.Item{it}}, s.objects())
		items, err := src.Claim(t.Context(), 1)
		if err != nil || len(items) != 1 || pipeline.CodeOf(items[0].Condemned) != code {
			t.Errorf("%s: %v, error %v, want %s", text, items, err, code)
		}
	}
}

// A store that does not check what it gives is checked.
func TestLyingStore(t *testing.T) {
	it := &pipeline.Item{ID: "a", Meta: map[string]string{pipeline.MetaBody: largeRef.String()}}
	items, err := claim.WithBodies(&given{items: []*pipeline.Item{it}}, liar{}).Claim(t.Context(), 1)
	if err != nil || len(items) != 1 || pipeline.CodeOf(items[0].Condemned) != "body-corrupt" || items[0].Input != nil {
		t.Errorf("%v, error %v, want it condemned", items, err)
	}
}

// liar gives other bytes of the same length.
type liar struct{ pipeline.Objects }

func (liar) Get(context.Context, pipeline.Digest) ([]byte, error) {
	return bytes.ToUpper(largeBody), nil
}

// A missing object is nobody's fault: the item goes back without losing its
// attempt, and is there when the object is.
func TestMissingBody(t *testing.T) {
	s := newSite(t, referring("a"), pipeline.NewItem{ID: "b"})
	if err := os.Rename(s.object(), s.object()+".away"); err != nil {
		t.Fatal(err)
	}
	src := s.source(withStore)
	items, err := src.Claim(t.Context(), 5)
	if err != nil || len(items) != 1 || items[0].ID != "b" {
		t.Fatalf("claimed %v, error %v; want b alone", items, err)
	}
	e, err := s.queue.Show(t.Context(), "a")
	if err != nil || e.State != pipeline.StateReady || e.Attempts != 0 || e.NotBefore.IsZero() || len(e.History) != 1 ||
		e.History[0].What != "released" || e.History[0].Code != "body-unavailable" {
		t.Fatalf("%+v, error %v; want it back with its attempt", e, err)
	}
}

// What is said about a body names the store without the secrets of its URL.
func TestBodyErrorsHideSecrets(t *testing.T) {
	const secret = "hunter2"
	s := newSite(t, referring("a"))
	if err := os.Remove(s.object()); err != nil {
		t.Fatal(err)
	}
	vault := pipeline.ObjectDriver{Scheme: "vault",
		Check: func(string) (string, error) { return "vault://host", nil },
		Open:  func(context.Context, string, string, bool) (pipeline.Objects, error) { return s.objects(), nil },
	}
	text := "waybill: v1\nname: x\nstages:\n  - claim: { from: 'sqlite:q.db', bodies: 'vault://me:" + secret + "@host' }\n"
	plan, problems := pipeline.Load(filepath.Join(s.dir, "p.yaml"), []byte(text), pipeline.NewSet(claim.Def(drivers, vault)))
	if len(problems) > 0 {
		t.Fatal(problems)
	}
	made, err := plan.Stages[0].Build(t.Context(), pipeline.Env{Dir: s.dir})
	if err != nil {
		t.Fatal(err)
	}
	defer made.(pipeline.Closer).Close()
	if items, err := made.(pipeline.Source).Claim(t.Context(), 1); err != nil || len(items) != 0 {
		t.Fatalf("claimed %v, error %v", items, err)
	}
	e, err := s.queue.Show(t.Context(), "a")
	if err != nil || len(e.History) != 1 || !strings.Contains(fmt.Sprint(e), "vault://host") || strings.Contains(fmt.Sprint(e), secret) {
		t.Errorf("%+v, error %v; want the store's name without the secret", e, err)
	}
}

// An item that stays away for long is asked for less and less often; at the end
// of the run it goes back at once.
func TestMissingBodyWaits(t *testing.T) {
	s := newSite(t)
	if err := os.Remove(s.object()); err != nil {
		t.Fatal(err)
	}
	g := &given{}
	src := claim.WithBodies(g, s.objects())
	claimOnce := func(ctx context.Context) pipeline.Release {
		g.items = []*pipeline.Item{{ID: "a", Meta: map[string]string{pipeline.MetaBody: largeRef.String()}}}
		g.back = nil
		if items, err := src.Claim(ctx, 1); err != nil || len(items) != 0 || len(g.back) != 1 {
			t.Fatalf("claimed %v, given back %v, error %v", items, g.back, err)
		}
		return g.back[0]
	}
	for n := range 10 {
		most := time.Second << min(n, 6)
		if r := claimOnce(t.Context()); r.After < most/2 || r.After > most || !r.Refund || pipeline.KindOf(r.Cause) != pipeline.Unavailable {
			t.Errorf("miss %d: %+v, want it back in %v to %v", n+1, r, most/2, most)
		}
	}
	ended, stop := context.WithCancel(t.Context())
	stop()
	if r := claimOnce(ended); r.After != 0 || !r.Refund {
		t.Errorf("at the end of the run: %+v", r)
	}
}

// given is a source of these items that notes what comes back.
type given struct {
	pipeline.Source // nil: nothing else is called
	items           []*pipeline.Item
	back            []pipeline.Release
}

func (g *given) Claim(context.Context, int) ([]*pipeline.Item, error) { return g.items, nil }
func (g *given) Lease() time.Duration                                 { return 0 }
func (g *given) Nack(ctx context.Context, _ *pipeline.Item, r pipeline.Release) error {
	if ctx.Err() == nil { // else a queue would refuse
		g.back = append(g.back, r)
	}
	return ctx.Err()
}
