package pipeline_test

import (
	"encoding/json"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/waybill-dev/waybill/pipeline"
)

// load reads stages into a pipeline of the test set.
func load(t *testing.T, stages string) (*pipeline.Plan, pipeline.Problems) {
	t.Helper()
	return pipeline.Load(t.TempDir()+"/test.yaml", []byte("waybill: v1\nname: test\nstages:\n"+stages), testSet)
}

const claimLine = "  - claim: { from: \"sqlite:queue.db\" }\n"

// head loads a run: block.
func head(t *testing.T, run string) (*pipeline.Plan, pipeline.Problems) {
	t.Helper()
	return pipeline.Load("test.yaml", []byte("waybill: v1\nname: test\nrun: { "+run+" }\nstages:\n"+claimLine), testSet)
}

func TestUnits(t *testing.T) {
	for text, want := range map[string]string{
		"deadline: 500ms": "500ms", "deadline: 30s": "30s", "deadline: 2m": "2m", "deadline: 1h30m": "1h30m",
		"deadline: 90s": "1m30s", "deadline: 1h": "1h", "deadline: 1.5s": "1.5s", "deadline: 0s": "0s",
		"retry: { backoff: 1s..1m }": "1s..1m", "retry: { backoff: 5s }": "5s..5s",
		"budget: { io: 512 }": "512", "budget: { io: 64KiB }": "64KiB", "budget: { io: 1.5KiB }": "1536", "budget: { io: 10MB }": "10000000",
		"budget: { io: 1GiB }": "1GiB", "budget: { io: 3kB }": "3000",
		"budget: { fuel: 200 }": "200", "budget: { fuel: 10k }": "10k", "budget: { fuel: 2G }": "2G", "budget: { fuel: 0.5M }": "500k",
	} {
		plan, problems := head(t, text)
		if len(problems) > 0 {
			t.Errorf("%s: %v", text, problems)
			continue
		}
		var got fmt.Stringer
		switch {
		case strings.HasPrefix(text, "deadline"):
			got = plan.Run.Deadline
		case strings.HasPrefix(text, "retry"):
			got = plan.Run.Retry.Backoff
		case strings.Contains(text, "io"):
			got = plan.Run.Budget.IO
		default:
			got = plan.Run.Budget.Fuel
		}
		if asJSON, err := json.Marshal(got); err != nil || got.String() != want || string(asJSON) != `"`+want+`"` {
			t.Errorf("%s: rendered %s, %s, want %s (%v)", text, got, asJSON, want, err)
		}
	}
}

func TestBadUnits(t *testing.T) {
	for text, want := range map[string]string{
		"deadline: 30": "bad-duration", "deadline: 0": "bad-duration", "deadline: -1s": "bad-duration", "deadline: 1 s": "bad-duration",
		"deadline: [1s]": "wrong-type", "deadline: ": "empty-value", "deadline: 999999999h": "bad-duration",
		"retry: { backoff: 1s.. }": "bad-duration", "retry: { backoff: 2s..1s }": "bad-duration", "retry: { backoff: 1..2 }": "bad-duration",
		"budget: { io: 1Kib }": "bad-size", "budget: { io: -1 }": "bad-size", "budget: { io: 0.5 }": "bad-size", "budget: { io: 9999999TiB }": "bad-size",
		"budget: { io: KiB }": "bad-size", "budget: { io: 1e3 }": "bad-size", "budget: { io: 1_000 }": "bad-size",
		"budget: { fuel: 1K }": "bad-count", "budget: { fuel: 99999999999999999999 }": "bad-count",
	} {
		_, problems := head(t, text)
		if len(problems) != 1 || problems[0].Code != want {
			t.Errorf("%s: want one %s, got %v", text, want, problems)
		}
	}
}

func TestDurationD(t *testing.T) {
	if got := pipeline.Duration(time.Second).D(); got != time.Second {
		t.Error(got)
	}
}

// TestProblemJSON: tools read the flat object.
func TestProblemJSON(t *testing.T) {
	_, problems := head(t, "deadline: 30")
	got, err := json.Marshal(problems[0])
	if err != nil {
		t.Fatal(err)
	}
	want := `{"file":"test.yaml","line":3,"column":18,"code":"bad-duration","path":"run.deadline","message":"\"30\" has no unit","hint":"write 30s or 30ms"}`
	if diff := cmp.Diff(want, string(got)); diff != "" {
		t.Error(diff)
	}
}

func TestParseUnits(t *testing.T) {
	for in, want := range map[string]pipeline.Bytes{"0": 0, "512": 512, "64KiB": 64 << 10, "10MB": 10e6, "1GiB": 1 << 30, "7B": 7, "1.5MB": 1.5e6} {
		if got, err := pipeline.ParseBytes(in); err != nil || got != want {
			t.Errorf("%s: %d, %v", in, got, err)
		}
	}
	for _, in := range []string{"", "KiB", "-1", "1XB", "1KiBB", "0.3B", "99999999999999999999", "9999999999TiB"} {
		if got, err := pipeline.ParseBytes(in); err == nil || !strings.Contains(err.Error(), "is not a size") {
			t.Errorf("%q is %d, %v", in, got, err)
		}
	}
	if c, err := pipeline.ParseCount("200M"); err != nil || c != 200e6 {
		t.Errorf("%v, %v", c, err)
	}
	if c, err := pipeline.ParseCount("1K"); err == nil || !strings.Contains(err.Error(), "is not a count") {
		t.Errorf("%v, %v", c, err)
	}
	if d, err := pipeline.ParseDuration("1m30s"); err != nil || d.D() != 90*time.Second {
		t.Errorf("%v, %v", d, err)
	}
	for in, want := range map[string]string{"30": "write 30s", "soon": "is not a duration", "-1s": "is negative", "": "is not a duration"} {
		if d, err := pipeline.ParseDuration(in); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%q is %v, %v", in, d, err)
		}
	}
}
