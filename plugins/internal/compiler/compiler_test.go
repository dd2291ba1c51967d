package compiler

import (
	"bytes"
	"context"
	"errors"
	"io/fs"
	"log/slog"
	"math"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/tetratelabs/wazero"

	w "github.com/waybill-dev/waybill/plugins/internal/wasmtest"
)

// job compiles a small module into a store of its own.
func job(t *testing.T) (Job, *bytes.Buffer) {
	log := new(bytes.Buffer)
	return Job{WASM: w.Guest{}.Bytes(), Dir: filepath.Join(t.TempDir(), "a", "store"), Log: slog.New(slog.NewTextHandler(log, nil))}, log
}

// inProcess makes this a program that does not call Child.
func inProcess(t *testing.T) {
	canFork.Store(false)
	t.Cleanup(func() { canFork.Store(true) })
}

// refusal returns the Refusal in err.
func refusal(t *testing.T, err error, part string) {
	t.Helper()
	var r *Refusal
	if !errors.As(err, &r) || !strings.Contains(r.Cause, part) {
		t.Errorf("got %v, want a refusal with %q", err, part)
	}
}

// load prepares a module and loads it.
func load(t *testing.T, j Job) {
	t.Helper()
	ctx := context.Background()
	code, err := Prepare(ctx, j)
	if err != nil {
		t.Fatal(err)
	}
	cfg := Config()
	if code.Cache != nil {
		cfg = cfg.WithCompilationCache(code.Cache)
		defer func() { _ = code.Cache.Close(ctx) }()
	}
	r := wazero.NewRuntimeWithConfig(ctx, cfg)
	defer func() { _ = r.Close(ctx) }()
	m, err := Compile(ctx, r, j.WASM)
	if err != nil || len(m.ExportedFunctions()) == 0 {
		t.Fatalf("%v, %v", m, err)
	}
	if err := code.Discard(); err != nil {
		t.Error(err)
	}
}

// files lists what is under a folder, with the time of the last writing.
func files(t *testing.T, dir string) map[string]int64 {
	t.Helper()
	found := map[string]int64{}
	err := filepath.WalkDir(dir, func(path string, e fs.DirEntry, err error) error {
		if err != nil || e.IsDir() {
			return err
		}
		info, err := e.Info()
		found[path] = info.ModTime().UnixNano()
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return found
}

func testStored(t *testing.T) {
	j, _ := job(t)
	load(t, j)
	first := files(t, j.Dir)
	if len(first) != 2 {
		t.Errorf("%v, want the code and its sums", first)
	}
	load(t, j)
	for path, at := range files(t, j.Dir) {
		if first[path] != at {
			t.Errorf("%s was written again", path)
		}
	}
	if drafts, _ := filepath.Glob(filepath.Join(j.Dir, draftPrefix+"*")); len(drafts) > 0 {
		t.Errorf("left behind: %v", drafts)
	}
}

// TestPrepareStores: what a child compiled is loaded and not compiled again,
// which would write wazero's file again.
func TestPrepareStores(t *testing.T) {
	t.Run("child", testStored)
	t.Run("in this process", func(t *testing.T) {
		inProcess(t)
		testStored(t)
	})
}

func TestPrepareWithoutStore(t *testing.T) {
	j, _ := job(t)
	j.Dir = ""
	t.Setenv("TMPDIR", t.TempDir())
	code, err := Prepare(t.Context(), j)
	if err != nil || code.Cache == nil || len(files(t, os.Getenv("TMPDIR"))) != 1 {
		t.Fatalf("%+v, %v: the child left no code", code, err)
	}
	if err := code.Discard(); err != nil || len(files(t, os.Getenv("TMPDIR"))) != 0 {
		t.Errorf("left behind, %v", err)
	}
	load(t, j)
	inProcess(t)
	if code, err := Prepare(t.Context(), j); err != nil || code.Cache != nil {
		t.Errorf("%+v, %v", code, err)
	}
	load(t, j)
}

// TestDamagedCodeIsCompiledAgain: nothing is loaded that does not have its digest.
func TestDamagedCodeIsCompiledAgain(t *testing.T) {
	code := func(t *testing.T, dir string) string {
		for path := range files(t, dir) {
			if filepath.Base(path) != sumsFile {
				return path
			}
		}
		t.Fatal("no code")
		return ""
	}
	for name, damage := range map[string]func(path string) error{
		"a bit": func(path string) error {
			b, err := os.ReadFile(path)
			if err != nil {
				return err
			}
			b[len(b)/2] ^= 1
			return os.WriteFile(path, b, 0o600)
		},
		"cut":        func(path string) error { return os.Truncate(path, 10) },
		"removed":    os.Remove,
		"a new file": func(path string) error { return os.WriteFile(path+"0", nil, 0o600) },
		"a link":     func(path string) error { return os.Symlink(path, path+"0") },
		"no sums": func(path string) error {
			return os.Remove(filepath.Join(filepath.Dir(filepath.Dir(path)), sumsFile))
		},
	} {
		t.Run(name, func(t *testing.T) {
			j, log := job(t)
			load(t, j)
			want, err := os.ReadFile(code(t, j.Dir))
			if err != nil {
				t.Fatal(err)
			}
			if err := damage(code(t, j.Dir)); err != nil {
				t.Fatal(err)
			}
			load(t, j)
			if !strings.Contains(log.String(), "level=WARN") || !strings.Contains(log.String(), "damaged") {
				t.Errorf("log: %s", log)
			}
			if got, err := os.ReadFile(code(t, j.Dir)); err != nil || !bytes.Equal(got, want) || len(files(t, j.Dir)) != 2 {
				t.Errorf("not compiled again: %v", err)
			}
		})
	}
}

// notValid has an i32 where an i64 should be; panics makes wazero 1.12 panic by a
// call of a function whose type is not defined.
var (
	notValid = w.Guest{Run: [][]byte{w.Const(1)}}.Bytes()
	panics   = []byte("\x00asm\x01\x00\x00\x00" + "\x01\x04\x01\x60\x00\x00" + "\x03\x03\x02\x00\x30" + "\x0a\x09\x02\x04\x00\x10\x01\x0b\x02\x00\x0b")
)

func testRefused(t *testing.T) {
	for want, wasm := range map[string][]byte{"cannot use i32 as result[0] type i64": notValid, "panicked": panics} {
		j, _ := job(t)
		j.WASM = wasm
		_, err := Prepare(t.Context(), j)
		refusal(t, err, want)
		refusal(t, err, "does not compile: ")
		if left, _ := os.ReadDir(j.Dir); len(left) > 0 {
			t.Errorf("left behind: %v", left)
		}
	}
}

func TestRefused(t *testing.T) {
	t.Run("child", testRefused)
	t.Run("in this process", func(t *testing.T) {
		inProcess(t)
		testRefused(t)
	})
}

func TestServe(t *testing.T) {
	for order, want := range map[string]string{
		"{":                                  "unexpected end",
		"{}":                                 "without folder or limits",
		`{"Folder":"x","Limits":{"Time":1}}`: "without folder or limits",
		`{"Folder":"x","Limits":{"Time":1,"Memory":18446744073709551615}}`: "without folder or limits",
	} {
		var out bytes.Buffer
		if code := serve(order, strings.NewReader(""), &out); code != exitFailed || !strings.Contains(out.String(), want) {
			t.Errorf("%s: exit %d, %s", order, code, &out)
		}
	}
	j, _ := job(t)
	j.Limits = Limits{Time: time.Minute, Memory: math.MaxInt64}
	if err := compileApart(t.Context(), Job{WASM: j.WASM}, filepath.Join(t.TempDir(), "none")); err == nil {
		t.Error("compiled into a folder that does not exist")
	}
}

func TestStoreSweepsOldDrafts(t *testing.T) {
	j, _ := job(t)
	s, err := openStore(j.Dir, j.Log)
	if err != nil {
		t.Fatal(err)
	}
	old, err := s.draft()
	if err != nil {
		t.Fatal(err)
	}
	young, err := s.draft()
	if err != nil {
		t.Fatal(err)
	}
	past := time.Now().Add(-2 * draftAge)
	if err := os.Chtimes(old, past, past); err != nil {
		t.Fatal(err)
	}
	if _, err := s.draft(); err != nil || exists(old) || !exists(young) {
		t.Errorf("old %t, young %t, %v", exists(old), exists(young), err)
	}
}

// TestStoreOfTwo: two processes compile the same module at the same time.
func TestStoreOfTwo(t *testing.T) {
	j, _ := job(t)
	s, err := openStore(j.Dir, j.Log)
	if err != nil {
		t.Fatal(err)
	}
	var kept []string
	for range 2 {
		draft, err := s.draft()
		if err != nil {
			t.Fatal(err)
		}
		if err := compileHere(t.Context(), j.WASM, draft); err != nil {
			t.Fatal(err)
		}
		folder, err := s.keep(draft, identify(j.WASM))
		if err != nil || exists(draft) {
			t.Fatalf("%s, %v", folder, err)
		}
		kept = append(kept, folder)
	}
	if kept[0] != kept[1] || len(files(t, j.Dir)) != 2 {
		t.Errorf("kept %v", kept)
	}
}

func TestIdentify(t *testing.T) {
	if identify([]byte("a")) == identify([]byte("b")) || len(identify(nil)) != 64 {
		t.Error("not a digest of the module")
	}
}
