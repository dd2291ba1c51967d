package runtime_test

import (
	"context"
	"errors"
	"strings"
	"testing"
	"testing/synctest"

	"github.com/google/go-cmp/cmp"

	"github.com/waybill-dev/waybill/pipeline"
	"github.com/waybill-dev/waybill/pipeline/pipelinetest"
)

func when(t *testing.T, src string) func(*pipeline.StagePlan) {
	t.Helper()
	c, err := pipeline.CompileCondition(src)
	if err != nil {
		t.Fatal(err)
	}
	return func(sp *pipeline.StagePlan) { sp.When = c }
}

// TestWhenSkipsTheStageAndNotTheItem: the item goes on, and the record of its
// way says that the stage was not for it.
func TestWhenSkipsTheStageAndNotTheItem(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		q := newQueue(t, 0)
		for i, host := range []string{"a", "b", "a"} {
			q.add(pipeline.Item{ID: string(rune('0' + i)), Meta: map[string]string{"host": host}})
		}
		var only, last pipelinetest.Recorder
		var steps [][]string
		s := run(t, plan(1, source(q),
			with("only-a", &only, when(t, `item.meta.host == "a"`)),
			with("last", &last),
			stage("look", func(_ context.Context, it *pipeline.Item) error {
				var results []string
				for _, st := range it.Steps {
					results = append(results, st.Stage+" "+st.Result)
				}
				steps = append(steps, results)
				return nil
			})))
		if s.Successful != 3 || s.Skipped != 0 || s.Stages[0].Calls != 2 || s.Stages[0].Skipped != 1 {
			t.Errorf("stats %+v", s)
		}
		if len(only.Seen()) != 2 || len(last.Seen()) != 3 {
			t.Errorf("the stages saw %d and %d items, want 2 and 3", len(only.Seen()), len(last.Seen()))
		}
		ok, skipped := []string{"only-a ok", "last ok"}, []string{"only-a skipped", "last ok"}
		if diff := cmp.Diff([][]string{ok, skipped, ok}, steps); diff != "" {
			t.Errorf("steps (-want +got):\n%s", diff)
		}
	})
}

// TestWhenThatFailsIsPermanent: an error in the condition ends the item at once,
// in the first attempt, and says where the condition stands in the file.
func TestWhenThatFailsIsPermanent(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		src := pipelinetest.NewSource(pipelinetest.Item(map[string]any{"n": 1}))
		rec := new(pipelinetest.Recorder)
		p := pipelinetest.Load(t, pipeline.NewSet(pipelinetest.SourceDef(src), rec.Def()),
			"- source: { }\n- record: { }\n  when: item.body.n.deep > 1\n")
		s := run(t, p)
		ended := src.Ended()
		if s.Dead != 1 || s.TotalRetries != 0 || len(ended) != 1 || len(rec.Seen()) != 0 {
			t.Fatalf("stats %+v, ended %+v", s, ended)
		}
		cause := ended[0].Outcome.Cause
		var e *pipeline.Error
		if !errors.As(cause, &e) || e.Kind != pipeline.Permanent || e.Code != "expression" || e.Stage != "record" {
			t.Fatalf("cause %#v", cause)
		}
		if e.Pos.Line != 6 || e.Pos.Col <= 5 || !strings.Contains(cause.Error(), ":6:") {
			t.Errorf("it cites %v: %v", e.Pos, cause)
		}
	})
}
