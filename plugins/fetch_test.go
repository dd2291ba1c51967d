package plugins

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"io"
	"log"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-containerregistry/pkg/registry"

	"github.com/waybill-dev/waybill/pipeline"
	"github.com/waybill-dev/waybill/pipeline/pipelinetest"
	"github.com/waybill-dev/waybill/plugins/internal/manifest"
	"github.com/waybill-dev/waybill/plugins/internal/oci"
	w "github.com/waybill-dev/waybill/plugins/internal/wasmtest"
)

// shop is a registry and a workspace: a folder for pipeline files, and a cache.
type shop struct {
	t          *testing.T
	server     *httptest.Server
	dir, cache string
	asked      atomic.Int64
	flip       atomic.Bool // change the last byte of every blob
}

func newShop(t *testing.T) *shop {
	t.Helper()
	t.Setenv("DOCKER_CONFIG", t.TempDir())
	s := &shop{t: t, dir: t.TempDir(), cache: t.TempDir()}
	inner := registry.New(registry.Logger(log.New(io.Discard, "", 0)))
	s.server = httptest.NewServer(http.HandlerFunc(func(out http.ResponseWriter, r *http.Request) {
		s.asked.Add(1)
		if !s.flip.Load() || r.Method != http.MethodGet || !strings.Contains(r.URL.Path, "/blobs/") {
			inner.ServeHTTP(out, r)
			return
		}
		answer := httptest.NewRecorder()
		inner.ServeHTTP(answer, r)
		body := answer.Body.Bytes()
		body[len(body)-1] ^= 1
		_, _ = out.Write(body)
	}))
	t.Cleanup(s.server.Close)
	return s
}

func (s *shop) ref(rest string) string {
	return "oci://" + strings.TrimPrefix(s.server.URL, "http://") + "/" + rest
}

// kernel makes a module of that version; different versions have different
// digests.
func kernel(t *testing.T, version string) []byte {
	t.Helper()
	wasm, err := manifest.Attach(w.Guest{Answer: w.KeepFirst()}.Bytes(), []byte(`{"name":"demo","version":"`+version+`"}`))
	if err != nil {
		t.Fatal(err)
	}
	return wasm
}

// push publishes a module from another workspace.
func (s *shop) push(rest string, wasm []byte) pipeline.KernelArtifact {
	s.t.Helper()
	a, err := Tools{}.Push(s.t.Context(), pipeline.KernelTransfer{File: file(s.t, "demo.wasm", wasm), Ref: s.ref(rest)})
	if err != nil {
		s.t.Fatal(err)
	}
	return a
}

// pipeline writes a pipeline file with a kernel stage for each `use`.
func (s *shop) pipeline(uses ...string) string {
	s.t.Helper()
	text := "waybill: v1\nname: p\nstages:\n  - source: {}\n"
	for _, use := range uses {
		text += "  - kernel: { use: \"" + use + "\" }\n"
	}
	name := filepath.Join(s.dir, "p.yaml")
	if err := os.WriteFile(name, []byte(text), 0o600); err != nil {
		s.t.Fatal(err)
	}
	return name
}

func stageSet() *pipeline.Set {
	return pipeline.NewSet(pipelinetest.SourceDef(pipelinetest.NewSource()), Def())
}

// check loads the pipeline file as `waybill check` does and returns the codes.
func (s *shop) check(name string) (codes []string, problems pipeline.Problems) {
	_, problems = pipeline.LoadFile(name, stageSet().Caching(s.cache))
	for _, p := range problems {
		codes = append(codes, p.Code)
	}
	return codes, problems
}

func (s *shop) lock(name string, update bool) (pipeline.KernelLocked, error) {
	return Tools{}.Lock(s.t.Context(), pipeline.KernelLock{File: name, Set: stageSet(), Update: update, CacheDir: s.cache})
}

func (s *shop) mustLock(name string, update bool) pipeline.KernelLocked {
	s.t.Helper()
	l, err := s.lock(name, update)
	if err != nil {
		s.t.Fatal(err)
	}
	return l
}

// digest returns the digest of the module that a stage runs.
func (s *shop) digest(use string) pipeline.Digest {
	s.t.Helper()
	c := Defaults()
	c.Use = use
	st := start(s.t, c, func(e *pipeline.Env) { e.Dir, e.CacheDir = s.dir, s.cache })
	it := item("x")
	if err := st.Process(s.t.Context(), it); err != nil {
		s.t.Fatal(err)
	}
	if it.Dependencies[0].URI != use || it.Dependencies[0].Name != "demo" {
		s.t.Errorf("the receipt would say %+v", it.Dependencies[0])
	}
	return it.Dependencies[0].Digest
}

// A tag is never followed but by `lock`; once it is pinned it stays, wherever it
// moves.
func TestLockedTag(t *testing.T) {
	s := newShop(t)
	one, two := kernel(t, "1.0.0"), kernel(t, "1.0.1")
	first := s.push("demo:1", one)
	name := s.pipeline(s.ref("demo:1"), s.ref("demo:1"))
	s.asked.Store(0)
	codes, problems := s.check(name)
	if len(codes) != 2 || codes[0] != codeUnlocked || problems[0].Pos.Line != 5 || problems[0].Hint != "run: waybill kernel lock "+name || s.asked.Load() != 0 {
		t.Errorf("without a lock: %v, %d requests", problems, s.asked.Load())
	}
	l := s.mustLock(name, false)
	want := []pipeline.KernelPin{{Use: s.ref("demo:1"), Manifest: first.Manifest, Digest: pipeline.DigestOf(one), Size: int64(len(one)), Change: pipeline.PinNew}}
	if d := cmp.Diff(want, l.Pins); d != "" || l.File != filepath.Join(s.dir, "waybill.lock") {
		t.Error(d, l.File)
	}
	if codes, problems := s.check(name); len(codes) > 0 {
		t.Errorf("locked: %v", problems)
	}
	second := s.push("demo:1", two)
	if got := s.digest(s.ref("demo:1")); got != first.Digest {
		t.Errorf("the tag moved and the stage with it: %s, pinned %s", got, first.Digest)
	}
	if l := s.mustLock(name, false); l.Pins[0].Change != pipeline.PinKept || l.Pins[0].Digest != first.Digest {
		t.Errorf("locked again: %+v", l)
	}
	if l := s.mustLock(name, true); l.Pins[0].Change != pipeline.PinMoved || l.Pins[0].Digest != second.Digest || l.Pins[0].Was != first.Digest {
		t.Errorf("updated: %+v", l)
	}
	if l := s.mustLock(name, true); l.Pins[0].Change != pipeline.PinKept {
		t.Errorf("updated again: %+v", l)
	}
	if got := s.digest(s.ref("demo:1")); got != second.Digest {
		t.Errorf("after the update: %s, want %s", got, second.Digest)
	}
}

// With an empty cache what is pinned comes from the registry; with a full one
// nobody is asked, and a registry that is gone is not missed.
func TestOffline(t *testing.T) {
	s := newShop(t)
	a := s.push("demo:1", kernel(t, "1.0.0"))
	name := s.pipeline(s.ref("demo:1"), a.Pinned)
	s.mustLock(name, false)
	s.cache = t.TempDir()
	if codes, problems := s.check(name); len(codes) > 0 {
		t.Fatalf("with an empty cache: %v", problems)
	}
	s.asked.Store(0)
	s.server.Close()
	name = s.pipeline(s.ref("demo:1"), a.Pinned, string(a.Digest))
	if codes, problems := s.check(name); len(codes) > 0 {
		t.Errorf("offline: %v", problems)
	}
	for _, use := range []string{s.ref("demo:1"), a.Pinned} {
		if got := s.digest(use); got != a.Digest {
			t.Errorf("%s is %s, want %s", use, got, a.Digest)
		}
	}
	if n := s.asked.Load(); n != 0 {
		t.Errorf("%d requests", n)
	}
	s.cache = t.TempDir()
	if codes, problems := s.check(name); !cmp.Equal(codes, []string{oci.CodeRegistry, oci.CodeRegistry, codeMissing}) {
		t.Errorf("offline with an empty cache: %v", problems)
	}
}

// What a registry serves under a pinned digest is that content, or nothing.
func TestTamperedRegistry(t *testing.T) {
	s := newShop(t)
	a := s.push("demo:1", kernel(t, "1.0.0"))
	name := s.pipeline(s.ref("demo:1"), a.Pinned)
	s.mustLock(name, false)
	s.cache = t.TempDir()
	s.flip.Store(true)
	codes, problems := s.check(name)
	if !cmp.Equal(codes, []string{oci.CodeDigest, oci.CodeDigest}) || !strings.Contains(problems[0].Message, "the registry sent a module with the digest") {
		t.Errorf("%v", problems)
	}
	if _, err := (Tools{}).Pull(t.Context(), pipeline.KernelTransfer{Ref: s.ref("demo:1"), CacheDir: s.cache}); pipeline.CodeOf(err) != oci.CodeDigest {
		t.Errorf("pull: %v", err)
	}
	if _, err := s.lock(name, true); pipeline.CodeOf(err) != oci.CodeDigest {
		t.Errorf("lock: %v", err)
	}
	s.flip.Store(false)
	if codes, problems := s.check(name); len(codes) > 0 {
		t.Errorf("something of it was kept: %v", problems)
	}
}

// A lock file whose module is not that of its manifest is not believed.
func TestTamperedLock(t *testing.T) {
	s := newShop(t)
	s.push("demo:1", kernel(t, "1.0.0"))
	name := s.pipeline(s.ref("demo:1"))
	lockFile := s.mustLock(name, false).File
	l, err := oci.ReadLock(s.dir)
	if err != nil {
		t.Fatal(err)
	}
	pin := l[s.ref("demo:1")]
	pin.Digest = pipeline.DigestOf([]byte("other"))
	l[s.ref("demo:1")] = pin
	if _, err := l.Write(s.dir); err != nil {
		t.Fatal(err)
	}
	if codes, problems := s.check(name); !cmp.Equal(codes, []string{oci.CodeDigest}) {
		t.Errorf("%v", problems)
	}
	if err := os.WriteFile(lockFile, []byte("<<<<<<< HEAD\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	if codes, problems := s.check(name); !cmp.Equal(codes, []string{oci.CodeLock}) {
		t.Errorf("a merge conflict: %v", problems)
	}
	if _, err := s.lock(name, false); pipeline.CodeOf(err) != oci.CodeLock {
		t.Errorf("a merge conflict: %v", err)
	}
}

// A damaged copy in the cache is replaced where it can be fetched, and refused
// where it cannot.
func TestDamagedCache(t *testing.T) {
	s := newShop(t)
	a := s.push("demo:1", kernel(t, "1.0.0"))
	name := s.pipeline(s.ref("demo:1"))
	s.mustLock(name, false)
	damage := func() {
		for _, d := range []pipeline.Digest{a.Digest, a.Manifest} {
			if err := os.WriteFile(filepath.Join(s.cache, "kernels", "blobs", "sha256", d.Hex()), []byte("x"), 0o600); err != nil {
				t.Fatal(err)
			}
		}
	}
	damage()
	if codes, problems := s.check(s.pipeline(string(a.Digest))); !cmp.Equal(codes, []string{oci.CodeDigest}) {
		t.Errorf("by digest alone: %v", problems)
	}
	for _, use := range []string{s.ref("demo:1"), a.Pinned} {
		damage()
		if codes, problems := s.check(s.pipeline(use)); len(codes) > 0 {
			t.Errorf("%v", problems)
		}
		if codes, problems := s.check(s.pipeline(string(a.Digest))); len(codes) > 0 {
			t.Errorf("it was not repaired: %v", problems)
		}
	}
}

// Pins of other pipeline files in the folder stay; what needs no pin gets none;
// other problems of the file come first.
func TestLockTouchesOnlyItsOwn(t *testing.T) {
	s := newShop(t)
	a := s.push("demo:1", kernel(t, "1.0.0"))
	s.push("other:1", kernel(t, "2.0.0"))
	s.mustLock(s.pipeline(s.ref("other:1")), false)
	l := s.mustLock(s.pipeline(s.ref("demo:1"), a.Pinned, "./missing.wasm", string(a.Digest)), false)
	if len(l.Pins) != 1 {
		t.Errorf("pins %+v", l.Pins)
	}
	lock, err := oci.ReadLock(s.dir)
	if err != nil || len(lock) != 2 {
		t.Errorf("%v, %v", lock, err)
	}
	name := s.pipeline("./k.wasm\", uses: \"x")
	var problems pipeline.Problems
	if _, err := s.lock(name, false); !errors.As(err, &problems) || problems[0].Code != pipeline.CodeUnknownKey {
		t.Errorf("%v", err)
	}
	if _, err := s.lock(s.pipeline("oci://nothing"), false); pipeline.CodeOf(err) != oci.CodeReference || !strings.Contains(err.Error(), "p.yaml:5:") {
		t.Errorf("%v", err)
	}
	if _, err := s.lock(s.pipeline(s.ref("none:1")), false); pipeline.CodeOf(err) != codeMissing {
		t.Errorf("%v", err)
	}
}

// Without a tag to pin no lock file is written.
func TestLockOfNothing(t *testing.T) {
	s := newShop(t)
	if l := s.mustLock(s.pipeline("./k.wasm"), false); l.Pins == nil || len(l.Pins) > 0 {
		t.Errorf("%+v", l)
	}
	if _, err := os.Stat(filepath.Join(s.dir, oci.LockFile)); !errors.Is(err, os.ErrNotExist) {
		t.Error(err)
	}
}

func TestPushAndPull(t *testing.T) {
	s := newShop(t)
	wasm := kernel(t, "1.2.0")
	var told bytes.Buffer
	a, err := Tools{}.Push(t.Context(), pipeline.KernelTransfer{File: project(t, w.Guest{}, `{"name":"k","version":"1.2.0"}`), Ref: s.ref("k:1.2"), CacheDir: s.cache, Progress: &told})
	if err != nil || a.Name != "k" || a.Version != "1.2.0" || filepath.Base(a.File) != "k.wasm" || a.Pinned != s.ref("k@")+string(a.Manifest) {
		t.Errorf("%+v, %v", a, err)
	}
	if told.Len() > 0 {
		t.Errorf("a word about %d bytes: %s", a.Size, &told)
	}
	s.push("demo:1.2", wasm)
	out := filepath.Join(t.TempDir(), "out.wasm")
	a, err = Tools{}.Pull(t.Context(), pipeline.KernelTransfer{Ref: s.ref("demo:1.2"), File: out, CacheDir: s.cache})
	if err != nil || a.Digest != pipeline.DigestOf(wasm) || a.Version != "1.2.0" {
		t.Errorf("%+v, %v", a, err)
	}
	if got, err := os.ReadFile(out); err != nil || !bytes.Equal(got, wasm) {
		t.Errorf("%d bytes, %v", len(got), err)
	}
	if codes, problems := s.check(s.pipeline(string(a.Digest))); len(codes) > 0 {
		t.Errorf("what was pulled is not stored: %v", problems)
	}
	if _, err := json.Marshal(a); err != nil {
		t.Error(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := (Tools{}).Pull(ctx, pipeline.KernelTransfer{Ref: s.ref("demo:1.2")}); !errors.Is(err, context.Canceled) {
		t.Errorf("cancelled: %v", err)
	}
}

// What cannot run anywhere, or is no kernel, is not published.
func TestPushRefuses(t *testing.T) {
	s := newShop(t)
	for name, tt := range map[string]struct {
		file, ref, code string
	}{
		"text":         {file(t, "k.wasm", []byte("text")), s.ref("k:1"), "kernel-bad"},
		"no such file": {filepath.Join(t.TempDir(), "k.wasm"), s.ref("k:1"), "error"},
		"no reference": {file(t, "k.wasm", kernel(t, "1.0.0")), "k:1", oci.CodeReference},
		"a digest":     {file(t, "k.wasm", kernel(t, "1.0.0")), s.ref("k@") + string(pipeline.DigestOf(nil)), oci.CodeReference},
	} {
		if _, err := (Tools{}).Push(t.Context(), pipeline.KernelTransfer{File: tt.file, Ref: tt.ref}); pipeline.CodeOf(err) != tt.code {
			t.Errorf("%s: %v, want %s", name, err, tt.code)
		}
	}
	if _, err := (Tools{}).Pull(t.Context(), pipeline.KernelTransfer{Ref: "k:1"}); pipeline.CodeOf(err) != oci.CodeReference {
		t.Error(err)
	}
	if n := s.asked.Load(); n != 0 {
		t.Errorf("%d requests", n)
	}
}

// `kernel run` takes what a pipeline file takes; without one it cannot hint at a
// lock file.
func TestRunAnArtifact(t *testing.T) {
	s := newShop(t)
	a := s.push("demo:1", kernel(t, "1.0.0"))
	got, err := Run(t.Context(), pipeline.KernelRun{Use: a.Pinned, CacheDir: s.cache})
	if err != nil || got.Digest != a.Digest {
		t.Errorf("%+v, %v", got, err)
	}
	t.Chdir(t.TempDir())
	_, err = Run(t.Context(), pipeline.KernelRun{Use: s.ref("demo:1"), CacheDir: s.cache})
	if pipeline.CodeOf(err) != codeUnlocked || !strings.Contains(err.Error(), "waybill kernel pull "+s.ref("demo:1")) {
		t.Errorf("%v", err)
	}
}
