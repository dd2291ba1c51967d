package pipeline_test

import (
	"bytes"
	"reflect"
	"strings"
	"testing"

	"github.com/santhosh-tekuri/jsonschema/v6"

	"github.com/waybill-dev/waybill/pipeline"
	"github.com/waybill-dev/waybill/pipeline/internal/node"
)

type testDocs struct{}

func (testDocs) Field(owner reflect.Type, name string) string {
	return "doc of " + owner.Name() + "." + name
}
func (testDocs) Type(reflect.Type) string { return "" }

// TestSchemaAgrees: what the loader accepts the schema accepts, and what the
// schema can express it refuses like the loader.
func TestSchemaAgrees(t *testing.T) {
	raw, err := pipeline.Schema(testSet, testDocs{})
	if err != nil {
		t.Fatal(err)
	}
	doc, err := jsonschema.UnmarshalJSON(strings.NewReader(string(raw)))
	if err != nil {
		t.Fatal(err)
	}
	c := jsonschema.NewCompiler()
	if err := c.AddResource("s.json", doc); err != nil {
		t.Fatal(err)
	}
	schema, err := c.Compile("s.json")
	if err != nil {
		t.Fatal(err)
	}
	t.Setenv("PIPELINE_TEST", "5s")
	start := "waybill: v1\nname: a\nstages:\n" + claimLine
	for _, src := range []string{
		wholeFile, start, start + "  - drop:\n", start + "  - drop: {}\n    timeout: \"${env:PIPELINE_TEST}\"\n",
		start + "  - work: { use: x, with: [1, { a: b }], ratio: 0.5, deep: true, limits: { memory: 512 } }\n",
		start + "  - work: { use: 1 }\n", start + "  - work: {}\n", start + "  - work: { use: x, limitz: 1 }\n",
		start + "  - drop: {}\n    work: { use: x }\n", start + "  - tee:\n", start + "  - name: x\n",
		start + "  - drop:\n    timeout: 5\n", start + "  - drop:\n    on_error: ignore\n", start + "  - drop:\n    concurrency: 0\n",
		start + "  - work: { use: x, grant: [root] }\n", start + "  - work: { use: x, ratio: 2 }\n", start + "  - work: { use: x, limits: { memory: 1Mib } }\n",
		"waybill: v2\nname: a\nstages:\n" + claimLine, "waybill: v1\nname: a b\nstages:\n" + claimLine, "waybill: v1\nname: a\nstages: []\n", "name: a\n",
	} {
		_, problems := pipeline.Load("f.yaml", []byte(src), testSet)
		instance, err := jsonschema.UnmarshalJSON(bytes.NewReader(node.Parse("f.yaml", ".", []byte(src)).Root().Canonical()))
		if err != nil {
			t.Fatal(err)
		}
		if err := schema.Validate(instance); (err != nil) != (len(problems) > 0) {
			t.Errorf("they disagree on\n%s\nschema: %v\nloader: %v", src, err, problems)
		}
	}
}

func TestSchemaDocsAndDefaults(t *testing.T) {
	raw, err := pipeline.Schema(testSet, testDocs{})
	if err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{`"doc of claimConfig.Lease"`, `"default": "30s"`, `"description": "takes items"`, `"doc of RunConfig.Concurrency"`} {
		if !strings.Contains(string(raw), want) {
			t.Errorf("the schema lacks %s", want)
		}
	}
}

func TestReference(t *testing.T) {
	page := string(pipeline.Reference(testSet, testDocs{}))
	for _, want := range []string{
		"| `lease` | duration | `30s` | doc of claimConfig.Lease |",
		"| `limits.memory` | size |  | doc of limits.Memory |",
		"| `by` | `round_robin` `key` `priority` `least_loaded` | `round_robin` | doc of laneConfig.By |",
		"| `use` | text | required |", "| `ratio` | number, 0 to 1 |", "| `headers` | mapping to text |", "## drop", "It has no keys.", "| `sha256` |",
	} {
		if !strings.Contains(page, want) {
			t.Errorf("the page lacks %s", want)
		}
	}
	if pipeline.Reference(testSet, nil) == nil {
		t.Error("no page without comments")
	}
}
