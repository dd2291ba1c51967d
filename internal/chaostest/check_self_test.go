package chaostest

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/waybill-dev/waybill/pipeline"
)

// good is a round without violations: of a key's two items the first was claimed
// twice, because its lease expired, and the second died of its attempts.
func good() evidence {
	first := pipeline.Entry{ID: "a", Key: "k", State: pipeline.StateDone, Result: pipeline.Succeeded, Token: 12, Attempts: 2, Digest: "d12",
		History: []pipeline.Event{{What: "expired", Attempt: 1}}}
	second := pipeline.Entry{ID: "b", Key: "k", State: pipeline.StateDead, Result: pipeline.Dead, Token: 14, Attempts: 1,
		History: []pipeline.Event{{What: "expired", Attempt: 1}, {What: "dead", Code: "attempts-exhausted"}}}
	return evidence{
		items:   []pipeline.NewItem{{ID: "a", Key: "k"}, {ID: "b", Key: "k", MaxAttempts: 1}},
		entries: []pipeline.Entry{first, second},
		executions: map[string][]execution{
			"a": {{ID: "a", Token: 11, Attempt: 1, Life: "0-1", from: 1, to: 6, answered: true}, {ID: "a", Token: 12, Attempt: 2, Life: "1-1", digest: "d12", from: 3, to: 5, answered: true}},
			"b": {{ID: "b", Token: 13, Attempt: 1, Life: "0-2", from: 7, to: 8}},
		},
	}
}

// Each rule finds what it is for, and nothing is found where all is well.
func TestCheck(t *testing.T) {
	if wrong := good().check(); len(wrong) > 0 {
		t.Fatalf("without a violation: %q", wrong)
	}
	for _, c := range []struct {
		rule  string
		spoil func(ev *evidence)
	}{
		{"lost: b was confirmed", func(ev *evidence) { ev.entries = ev.entries[:1] }},
		{"lost: b: it has not ended", func(ev *evidence) { ev.entries[1].State = pipeline.StateReady }},
		{"twice: a", func(ev *evidence) { ev.entries = append(ev.entries, ev.entries[0]) }},
		{"sum: c was never enqueued", func(ev *evidence) { ev.entries = append(ev.entries, pipeline.Entry{ID: "c"}) }},
		{"outcome: a", func(ev *evidence) { ev.entries[0].Digest = "d11" }},                           // a stale acknowledgement
		{"outcome: a", func(ev *evidence) { ev.executions["a"][1].answered = false }},                 // acknowledged before it succeeded
		{"outcome: a", func(ev *evidence) { ev.entries[0].Result = pipeline.Dropped }},                // another end than that of the work
		{"token: a: 12 is greater", func(ev *evidence) { ev.entries[0].Token = 11 }},                  // a token went back
		{"token: a: 12 was given to two", func(ev *evidence) { ev.executions["a"][0].Token = 12 }},    // claims that are not atomic
		{"token: a: 12 was executed at two", func(ev *evidence) { ev.executions["a"][0].Token = 12 }}, // or a process that runs it twice
		{"stolen: a", func(ev *evidence) { ev.entries[0].History[0].What = "retry" }},                 // given back by somebody else
		{"unexplained: a", func(ev *evidence) { ev.entries[0].History = nil }},
		{"attempts: b: attempt 2 of 1", func(ev *evidence) { ev.executions["b"][0].Attempt = 2 }},
		{"attempts: b: it is dead without cause", func(ev *evidence) { ev.items[1].MaxAttempts = 0 }},
		{"order: b", func(ev *evidence) { ev.executions["b"][0].from = 4 }},
	} {
		ev := good()
		c.spoil(&ev)
		wrong := ev.check()
		if !strings.Contains("\n"+strings.Join(wrong, "\n"), "\n"+c.rule) {
			t.Errorf("found %q, want %q", wrong, c.rule)
		}
	}
}

// Two rounds of one seed have the same items and the same faults.
func TestSeed(t *testing.T) {
	if a, b := fmt.Sprint(plan(dice(7, 0), time.Unix(0, 0), 100, 5)), fmt.Sprint(plan(dice(7, 0), time.Unix(0, 0), 100, 5)); a != b {
		t.Errorf("%s\n%s", a, b)
	}
}
