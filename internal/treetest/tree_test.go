package treetest

import (
	"bytes"
	"go/ast"
	"go/parser"
	"go/token"
	"io/fs"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
)

const (
	root   = "../.."
	module = "github.com/waybill-dev/waybill"
)

// goFiles calls f for every Go file of the main module with its slash path.
func goFiles(t *testing.T, f func(path string, src []byte)) {
	t.Helper()
	n := 0
	err := filepath.WalkDir(root, func(path string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		rel, err := filepath.Rel(root, path)
		if err != nil {
			return err
		}
		rel = filepath.ToSlash(rel)
		if d.IsDir() {
			if rel != "." && (strings.HasPrefix(d.Name(), ".") || d.Name() == "testdata" || d.Name() == "bin" || d.Name() == "var") {
				return filepath.SkipDir
			}
			return nil
		}
		if !strings.HasSuffix(rel, ".go") {
			return nil
		}
		src, err := os.ReadFile(path)
		if err != nil {
			return err
		}
		n++
		f(rel, src)
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	if n < 50 {
		t.Fatalf("looked at %d files only: the walk is broken", n)
	}
}

// The longest matching folder decides. An entry lists the packages of this
// module that the folder may import, by prefix, besides its own folder, and the
// modules outside the standard library.
var allowed = []struct {
	folder  string
	inside  []string
	outside []string
}{
	{"internal/netpolicy", nil, nil},
	{"spec", nil, nil},
	{"pipeline", []string{"spec"}, []string{"github.com/expr-lang/expr"}},
	{"pipeline/internal/node", nil, []string{"gopkg.in/yaml.v3"}},
	{"cdp", []string{"internal/netpolicy"}, []string{"github.com/chromedp/", "golang.org/x/sys"}},
	{"plugins", []string{"pipeline", "spec", "internal/netpolicy"}, []string{"github.com/tetratelabs/wazero", "github.com/extism/go-sdk",
		"oras.land/oras-go", "github.com/opencontainers/", "golang.org/x/sys", "golang.org/x/tools/txtar"}},
	{"stages", []string{"pipeline", "spec", "stages"}, []string{
		"modernc.org/sqlite", "go.mongodb.org/mongo-driver", "github.com/nats-io/", "golang.org/x/mod/sumdb", "golang.org/x/sys", "golang.org/x/text", "golang.org/x/sync", "github.com/gowebpki/jcs"}},
	{"stages/execute", []string{"pipeline", "spec", "cdp", "internal/netpolicy"}, nil},
	{"runtime", []string{"pipeline"}, []string{"go.opentelemetry.io/", "github.com/prometheus/client_golang"}},
	{"runtime/cli", []string{"pipeline", "runtime", "spec"}, []string{"github.com/spf13/cobra", "github.com/spf13/pflag", "golang.org/x/term"}},
}

func TestImports(t *testing.T) {
	goFiles(t, func(path string, src []byte) {
		if strings.HasSuffix(path, "_test.go") || strings.HasSuffix(filepath.Dir(path), "test") {
			return // tests and their packages may join what the product keeps apart
		}
		rule := -1
		for i, r := range allowed {
			if strings.HasPrefix(path, r.folder+"/") && (rule < 0 || len(r.folder) > len(allowed[rule].folder)) {
				rule = i
			}
		}
		if rule < 0 {
			return // cmd, bench and examples join everything
		}
		r := allowed[rule]
		f, err := parser.ParseFile(token.NewFileSet(), path, src, parser.ImportsOnly)
		if err != nil {
			t.Fatal(err)
		}
		for _, spec := range f.Imports {
			imp, _ := strconv.Unquote(spec.Path.Value)
			if own, ok := strings.CutPrefix(imp, module+"/"); ok {
				if !under(own, append(r.inside, r.folder)) {
					t.Errorf("%s imports %s; %s may import %v only", path, own, r.folder, r.inside)
				}
			} else if first, _, _ := strings.Cut(imp, "/"); strings.Contains(first, ".") && !prefixed(imp, r.outside) {
				t.Errorf("%s imports %s; %s may import %v only", path, imp, r.folder, r.outside)
			}
		}
	})
}

func under(path string, folders []string) bool {
	for _, f := range folders {
		if path == f || strings.HasPrefix(path, f+"/") {
			return true
		}
	}
	return false
}

func prefixed(path string, prefixes []string) bool {
	for _, p := range prefixes {
		if strings.HasPrefix(path, p) {
			return true
		}
	}
	return false
}

func TestFileLength(t *testing.T) {
	goFiles(t, func(path string, src []byte) {
		if n := bytes.Count(src, []byte("\n")); n > 600 {
			t.Errorf("%s has %d lines; split it (600 at most)", path, n)
		}
	})
}

func TestNothingRegistersItself(t *testing.T) {
	goFiles(t, func(path string, src []byte) {
		if !bytes.Contains(src, []byte("func init(")) {
			return
		}
		f, err := parser.ParseFile(token.NewFileSet(), path, src, parser.SkipObjectResolution)
		if err != nil {
			t.Fatal(err)
		}
		for _, d := range f.Decls {
			if fn, ok := d.(*ast.FuncDecl); ok && fn.Recv == nil && fn.Name.Name == "init" && !guest(path) {
				t.Errorf("%s: init(); make it a value that main lists", path)
			}
		}
	})
}

// Every package tells its story, every exported name is documented.
func TestDocumented(t *testing.T) {
	packages := map[string]bool{}
	goFiles(t, func(path string, src []byte) {
		if strings.HasSuffix(path, "_test.go") {
			return
		}
		f, err := parser.ParseFile(token.NewFileSet(), path, src, parser.ParseComments|parser.SkipObjectResolution)
		if err != nil {
			t.Fatal(err)
		}
		dir := filepath.Dir(path)
		packages[dir] = packages[dir] || f.Doc != nil
		for _, d := range f.Decls {
			switch d := d.(type) {
			case *ast.FuncDecl:
				if d.Name.IsExported() && d.Doc == nil && exportedReceiver(d) && !interfaceMethod(d.Name.Name) {
					t.Errorf("%s: %s has no doc comment", path, d.Name.Name)
				}
			case *ast.GenDecl:
				for _, s := range d.Specs {
					if ts, ok := s.(*ast.TypeSpec); ok && ts.Name.IsExported() && ts.Doc == nil && d.Doc == nil {
						t.Errorf("%s: type %s has no doc comment", path, ts.Name.Name)
					}
				}
			}
		}
	})
	for dir, ok := range packages {
		if !ok {
			t.Errorf("%s: no package comment", dir)
		}
	}
}

func exportedReceiver(d *ast.FuncDecl) bool {
	if d.Recv == nil {
		return true
	}
	typ := d.Recv.List[0].Type
	if p, ok := typ.(*ast.StarExpr); ok {
		typ = p.X
	}
	id, ok := typ.(*ast.Ident)
	return ok && id.IsExported()
}

// interfaceMethod lists methods whose contract stands at their interface.
func interfaceMethod(name string) bool {
	switch name {
	case "Error", "Unwrap", "String", "Close", "MarshalJSON", "UnmarshalJSON", "MarshalText", "UnmarshalNode", "NodeSchema",
		"Process", "ProcessBatch", "Batching", "Start", "Validate", "Len", "Less", "Swap", "Push", "Pop", "Write", "Read":
		return true
	}
	return false
}

// machine names what only this workplace has; the names are split so that the
// list does not find itself. Plain words: a pattern takes seconds under the race
// detector.
var machine = []string{"/wo" + "rk/", "proxy.gol" + "ang.org", "deb.deb" + "ian.org", "registry.npm" + "js.org", "farm-" + "bench", "farm-" + "studio"}

func TestNoMachineInTheTree(t *testing.T) {
	err := filepath.WalkDir(root, func(path string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		if d.IsDir() {
			switch d.Name() {
			case ".git", "bin", "var", "node_modules", "target":
				return filepath.SkipDir
			}
			return nil
		}
		if strings.HasSuffix(path, ".wasm") || strings.HasSuffix(path, ".sum") {
			return nil
		}
		src, err := os.ReadFile(path)
		if err != nil {
			return err
		}
		for _, name := range machine {
			if bytes.Contains(src, []byte(name)) {
				t.Errorf("%s names %q: nothing that is committed may name a machine's path or a registry", path, name)
			}
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
}

// guest reports whether a file belongs to a kernel. A reactor's main never runs,
// so its init is where it says what it serves.
func guest(path string) bool {
	return strings.Contains(path, "/kernels/") || strings.HasPrefix(path, "plugins/sdk/go/")
}
