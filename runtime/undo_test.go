package runtime_test

import (
	"context"
	"fmt"
	"testing"
	"testing/synctest"

	"github.com/google/go-cmp/cmp"

	"github.com/waybill-dev/waybill/pipeline"
)

// TestFailedTryLeavesNoTrace: a stage that fails half-way finds the item as it
// was before when it is called again, and so does the witness of its failure.
func TestFailedTryLeavesNoTrace(t *testing.T) {
	type state struct {
		Body      any
		Meta      map[string]string
		Artifacts []pipeline.Artifact
		Outputs   []pipeline.Output
		Depends   []pipeline.Dependency
		Receipt   pipeline.Digest
	}
	look := func(it *pipeline.Item) state {
		v, _ := it.Body.Value()
		s := state{Body: v, Meta: map[string]string{}, Receipt: it.Receipt}
		for k, v := range it.Meta {
			s.Meta[k] = v
		}
		s.Artifacts = append(s.Artifacts, it.Artifacts...)
		s.Outputs = append(s.Outputs, it.Outputs...)
		s.Depends = append(s.Depends, it.Dependencies...)
		return s
	}
	change := func(it *pipeline.Item, by string) {
		it.Body = pipeline.JSONBody("by " + by)
		it.SetMeta("url", by)
		it.SetMeta(by, "new")
		it.SetArtifact(pipeline.Artifact{Name: "page.png", Data: []byte(by)})
		it.SetArtifact(pipeline.Artifact{Name: by})
		it.Outputs = append(it.Outputs, pipeline.Output{Name: by})
		it.DependOn(pipeline.Dependency{Name: by})
		it.Receipt = pipeline.Digest(by)
	}
	for _, how := range []string{"error", "panic"} {
		for _, start := range []string{"empty", "filled"} {
			t.Run(how+" "+start, func(t *testing.T) {
				synctest.Test(t, func(t *testing.T) {
					q := newQueue(t, 1)
					n := newNotary()
					var tries []state
					p := plan(1, source(q),
						stage("first", func(_ context.Context, it *pipeline.Item) error {
							if start == "filled" {
								change(it, "first")
							}
							return nil
						}),
						stage("second", func(_ context.Context, it *pipeline.Item) error {
							tries = append(tries, look(it))
							change(it, fmt.Sprint("second", len(tries)))
							it.Emit(&pipeline.Item{ID: "child"})
							if how == "panic" {
								panic("half-way")
							}
							return pipeline.Again("half", "half-way")
						}), with("notary", n))
					s := run(t, p)
					if s.Dead != 1 || s.Children != 0 || len(tries) == 0 || how == "error" && len(tries) < 3 {
						t.Fatalf("stats %+v after %d tries", s, len(tries))
					}
					for i := range tries {
						if diff := cmp.Diff(tries[0], tries[i]); diff != "" {
							t.Errorf("try %d found (-first +this):\n%s", i+1, diff)
						}
					}
					failed := n.items["i000"]
					failed.Receipt = tries[0].Receipt // that of the failure
					if diff := cmp.Diff(tries[0], look(&failed)); diff != "" {
						t.Errorf("the failure was witnessed with (-before +then):\n%s", diff)
					}
				})
			})
		}
	}
}

// TestSkipKeepsWhatTheStageDid: a skip is an answer, not a failure.
func TestSkipKeepsWhatTheStageDid(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		q := newQueue(t, 1)
		n := newNotary()
		run(t, plan(1, source(q), stage("a", func(_ context.Context, it *pipeline.Item) error {
			it.DependOn(pipeline.Dependency{Name: "kernel"})
			return pipeline.SkipItem("not wanted")
		}), with("notary", n)))
		if deps := n.items["i000"].Dependencies; len(deps) != 1 {
			t.Errorf("dependencies %v, want what decided to skip", deps)
		}
	})
}
