package main

import (
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"path/filepath"
	"reflect"
	"strings"
)

const modulePath = "github.com/waybill-dev/waybill"

// fieldDocs reads the comments of config types from their source. It
// implements pipeline.Docs.
type fieldDocs struct {
	root     string
	packages map[string]map[string]string // import path -> "Type" or "Type.Field" -> comment
	err      error                        // the first file that could not be read
}

func newFieldDocs(root string) *fieldDocs {
	return &fieldDocs{root: root, packages: map[string]map[string]string{}}
}

// Field returns the comment of a struct's field on one line.
func (d *fieldDocs) Field(owner reflect.Type, name string) string {
	return d.comments(owner.PkgPath())[owner.Name()+"."+name]
}

// Type returns the comment of a type.
func (d *fieldDocs) Type(t reflect.Type) string { return d.comments(t.PkgPath())[t.Name()] }

func (d *fieldDocs) comments(path string) map[string]string {
	if c, ok := d.packages[path]; ok {
		return c
	}
	c := map[string]string{}
	d.packages[path] = c
	inside, ok := strings.CutPrefix(path, modulePath+"/")
	if !ok {
		return c
	}
	names, err := filepath.Glob(filepath.Join(d.root, filepath.FromSlash(inside), "*.go"))
	if err == nil && len(names) == 0 {
		err = fmt.Errorf("no source of %s", path)
	}
	for _, name := range names {
		if !strings.HasSuffix(name, "_test.go") && err == nil {
			err = readComments(name, c)
		}
	}
	if err != nil && d.err == nil {
		d.err = err
	}
	return c
}

func readComments(name string, into map[string]string) error {
	file, err := parser.ParseFile(token.NewFileSet(), name, nil, parser.ParseComments|parser.SkipObjectResolution)
	if err != nil {
		return err
	}
	for _, decl := range file.Decls {
		gen, ok := decl.(*ast.GenDecl)
		if !ok {
			continue
		}
		for _, spec := range gen.Specs {
			t, ok := spec.(*ast.TypeSpec)
			if !ok {
				continue
			}
			doc := t.Doc
			if doc == nil {
				doc = gen.Doc
			}
			into[t.Name.Name] = strings.TrimSpace(doc.Text())
			if s, ok := t.Type.(*ast.StructType); ok {
				fieldComments(t.Name.Name, s, into)
			}
		}
	}
	return nil
}

// fieldComments takes the comment above a field, or the one behind it. It
// covers all names of the same line.
func fieldComments(owner string, s *ast.StructType, into map[string]string) {
	for _, f := range s.Fields.List {
		doc := f.Doc
		if doc == nil {
			doc = f.Comment
		}
		for _, name := range f.Names {
			into[owner+"."+name.Name] = strings.Join(strings.Fields(doc.Text()), " ")
		}
	}
}
