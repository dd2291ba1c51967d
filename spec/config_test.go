package spec_test

import (
	"bytes"
	"fmt"
	"io/fs"
	"path"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/santhosh-tekuri/jsonschema/v6"

	"github.com/waybill-dev/waybill/pipeline"
	"github.com/waybill-dev/waybill/plugins"
	"github.com/waybill-dev/waybill/spec"
	"github.com/waybill-dev/waybill/stages"
)

// The vectors in vectors/config are pipeline files. A line
//
//	# want LINE:COLUMN CODE PATH
//
// names a problem that the file must give, in file order; a file without such
// lines must load. PATH is missing for problems of the file as a whole.

func stageSet() *pipeline.Set {
	return pipeline.NewSet(stages.All()...).With(plugins.Def())
}

func wanted(src string) []string {
	var out []string
	for line := range strings.Lines(src) {
		if want, ok := strings.CutPrefix(line, "# want "); ok {
			out = append(out, strings.TrimSpace(want))
		}
	}
	return out
}

func found(problems pipeline.Problems) []string {
	var out []string
	for _, p := range problems {
		out = append(out, strings.TrimSpace(fmt.Sprintf("%d:%d %s %s", p.Line, p.Col, p.Code, p.Path)))
	}
	return out
}

func TestConfigVectors(t *testing.T) {
	set := stageSet()
	files, err := fs.Glob(spec.Vectors, "vectors/config/*.yaml")
	if err != nil {
		t.Fatal(err)
	}
	bad := 0
	for _, file := range files {
		name := strings.TrimSuffix(path.Base(file), ".yaml")
		src, err := spec.Vectors.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		want := wanted(string(src))
		if (len(want) == 0) != strings.HasPrefix(name, "good-") {
			t.Errorf("%s: only files named good- have no problem", name)
		}
		if len(want) > 0 {
			bad++
		}
		t.Run(name, func(t *testing.T) {
			_, problems := pipeline.Load(file, src, set)
			if diff := cmp.Diff(want, found(problems)); diff != "" {
				t.Errorf("problems (-want +got):\n%s\n%v", diff, problems)
			}
		})
	}
	if bad < 45 {
		t.Errorf("only %d bad files", bad)
	}
}

// TestSchemaAcceptsGoodVectors: an editor must not mark what the loader takes.
func TestSchemaAcceptsGoodVectors(t *testing.T) {
	doc, err := jsonschema.UnmarshalJSON(bytes.NewReader(spec.PipelineSchema))
	if err != nil {
		t.Fatal(err)
	}
	c := jsonschema.NewCompiler()
	if err := c.AddResource("pipeline.schema.json", doc); err != nil {
		t.Fatal(err)
	}
	schema, err := c.Compile("pipeline.schema.json")
	if err != nil {
		t.Fatal(err)
	}
	files, err := fs.Glob(spec.Vectors, "vectors/config/good-*.yaml")
	if err != nil || len(files) == 0 {
		t.Fatal(len(files), err)
	}
	for _, file := range files {
		src, err := spec.Vectors.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		plan, problems := pipeline.Load(file, src, stageSet())
		if len(problems) > 0 {
			t.Fatal(problems)
		}
		instance, err := jsonschema.UnmarshalJSON(bytes.NewReader(plan.Source))
		if err != nil {
			t.Fatal(err)
		}
		if err := schema.Validate(instance); err != nil {
			t.Errorf("%s: %v", file, err)
		}
	}
}
