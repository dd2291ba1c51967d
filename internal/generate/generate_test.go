package main

import (
	"bytes"
	"reflect"
	"strings"
	"testing"

	"github.com/santhosh-tekuri/jsonschema/v6"

	"github.com/waybill-dev/waybill/pipeline"
)

// TestGenerated fails when a generated file is not what the source says.
func TestGenerated(t *testing.T) {
	root, err := moduleRoot()
	if err != nil {
		t.Fatal(err)
	}
	old, err := stale(root)
	if err != nil {
		t.Fatal(err)
	}
	if len(old) > 0 {
		t.Errorf("stale: %s. Run: make generate", strings.Join(old, ", "))
	}
}

// TestEveryKeyIsDocumented: the reference is only as good as the comments.
func TestEveryKeyIsDocumented(t *testing.T) {
	root, err := moduleRoot()
	if err != nil {
		t.Fatal(err)
	}
	all, err := files(root)
	if err != nil {
		t.Fatal(err)
	}
	for line := range strings.Lines(string(all["docs/reference.md"])) {
		if strings.HasPrefix(line, "| `") && strings.HasSuffix(line, "|  |\n") {
			t.Errorf("no comment: %s", strings.TrimSpace(line))
		}
	}
}

// TestSchemaCompiles checks the schema against its own meta-schema.
func TestSchemaCompiles(t *testing.T) {
	root, err := moduleRoot()
	if err != nil {
		t.Fatal(err)
	}
	all, err := files(root)
	if err != nil {
		t.Fatal(err)
	}
	doc, err := jsonschema.UnmarshalJSON(bytes.NewReader(all["spec/pipeline.schema.json"]))
	if err != nil {
		t.Fatal(err)
	}
	c := jsonschema.NewCompiler()
	if err := c.AddResource("pipeline.schema.json", doc); err != nil {
		t.Fatal(err)
	}
	if _, err := c.Compile("pipeline.schema.json"); err != nil {
		t.Fatal(err)
	}
}

func TestFieldDocs(t *testing.T) {
	root, err := moduleRoot()
	if err != nil {
		t.Fatal(err)
	}
	d := newFieldDocs(root)
	run := reflect.TypeFor[pipeline.RunConfig]()
	if got, want := d.Field(run, "Concurrency"), "Items in flight at the same time, at most."; got != want {
		t.Errorf("Field = %q, want %q", got, want)
	}
	if got := d.Type(run); !strings.HasPrefix(got, "RunConfig is") {
		t.Errorf("Type = %q", got)
	}
	if got := d.Field(reflect.TypeFor[strings.Builder](), "buf"); got != "" {
		t.Errorf("a type outside the module has the comment %q", got)
	}
	if d.err != nil {
		t.Error(d.err)
	}
}
