package pipeline_test

import (
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/waybill-dev/waybill/pipeline"
)

// TestRestoreUndoesWhatAStageDid: again and again, and also where a stage has
// changed an item that has been restored before.
func TestRestoreUndoesWhatAStageDid(t *testing.T) {
	make := func() *pipeline.Item {
		it := &pipeline.Item{ID: "a", Body: pipeline.JSONBody("before"), Receipt: "r"}
		it.SetMeta("host", "before")
		it.SetArtifact(pipeline.Artifact{Name: "page", Data: []byte("before")})
		it.DependOn(pipeline.Dependency{Name: "before"})
		it.Outputs = append(it.Outputs, pipeline.Output{Name: "before"})
		return it
	}
	it := make()
	var before pipeline.Checkpoint
	it.Checkpoint(&before)
	for _, round := range []string{"one", "two"} {
		it.Body, it.Receipt = pipeline.JSONBody(round), pipeline.Digest(round)
		it.SetMeta("host", round)
		it.SetMeta(round, round)
		it.SetArtifact(pipeline.Artifact{Name: "page", Data: []byte(round)})
		it.SetArtifact(pipeline.Artifact{Name: round})
		it.DependOn(pipeline.Dependency{Name: round})
		it.Outputs = append(it.Outputs, pipeline.Output{Name: round})
		it.Emit(&pipeline.Item{ID: round})
		if it.Meta["host"] != round || len(it.Meta) != 2 || string(it.Artifact("page").Data) != round || len(it.Artifacts) != 2 {
			t.Fatalf("the change is lost: %v %v", it.Meta, it.Artifacts)
		}
		it.Restore(&before)
		want := make()
		if diff := cmp.Diff(want.Meta, it.Meta); diff != "" {
			t.Errorf("meta (-want +got):\n%s", diff)
		}
		if diff := cmp.Diff(want.Artifacts, it.Artifacts); diff != "" {
			t.Errorf("artifacts (-want +got):\n%s", diff)
		}
		if diff := cmp.Diff(want.Dependencies, it.Dependencies); diff != "" {
			t.Errorf("dependencies (-want +got):\n%s", diff)
		}
		if diff := cmp.Diff(want.Outputs, it.Outputs); diff != "" {
			t.Errorf("outputs (-want +got):\n%s", diff)
		}
		if v, _ := it.Body.Value(); v != "before" || it.Receipt != "r" || len(it.TakeEmitted()) != 0 {
			t.Errorf("body %v, receipt %s", v, it.Receipt)
		}
	}
}

func TestCheckpointCostsNothingUntilSomethingChanges(t *testing.T) {
	it := &pipeline.Item{ID: "a"}
	it.SetMeta("host", "example.com")
	it.SetArtifact(pipeline.Artifact{Name: "page"})
	var c pipeline.Checkpoint
	if n := testing.AllocsPerRun(100, func() { it.Checkpoint(&c) }); n != 0 {
		t.Errorf("%v allocations", n)
	}
	it.Restore(&c)
}
