package pipeline_test

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/waybill-dev/waybill/pipeline"
)

const wholeFile = `waybill: v1
name: capture
run:
  concurrency: 8
  deadline: 2m
  budget: { fuel: 2G, io: 64MiB }
  retry: { attempts: 5, backoff: 1s..30s }
stages:
  - claim: { from: "sqlite:queue.db", queue: pages }
  - distribute: { lanes: 4, by: key, key: item.meta.host }
  - work:
      use: a.wasm
      limits: { memory: 32MiB, fuel: 200M }
      grant: [http]
      headers: { Accept: text/html }
    when: item.meta.status == "200"
    timeout: 20s
    concurrency: 2
    on_error: dead
    retry: { attempts: 2 }
    breaker: { failures: 3 }
    budget: { fuel: 1G }
  - work: { use: b.wasm }
    concurrency: 20
  - drop:
    name: work-2
  - drop:
`

func TestLoad(t *testing.T) {
	dir := t.TempDir()
	plan, problems := pipeline.Load(filepath.Join(dir, "p.yaml"), []byte(wholeFile), testSet)
	if len(problems) > 0 {
		t.Fatal(problems)
	}
	if plan.Name != "capture" || plan.Dir != dir || plan.Run.Deadline.D() != 2*time.Minute || plan.Run.Drain.D() != 30*time.Second {
		t.Errorf("head: %+v", plan)
	}
	var names []string
	for _, s := range plan.Stages {
		names = append(names, fmt.Sprintf("%s:%s:%d:%d", s.Name, s.Role, s.Pos.Line, s.Pos.Col))
	}
	want := []string{"claim:source:9:5", "distribute:distributor:10:5", "work:stage:11:5", "work-3:stage:23:5", "work-2:stage:25:5", "drop:stage:27:5"}
	if diff := cmp.Diff(want, names); diff != "" {
		t.Error(diff)
	}
	work := plan.Stages[2]
	if got := work.Config.(workConfig); got.Limits.Memory != 32<<20 || got.Headers["Accept"] != "text/html" {
		t.Errorf("config %+v", got)
	}
	if work.Retry.Attempts != 2 || work.Retry.Backoff.Min.D() != time.Second {
		t.Errorf("the stage's retry does not inherit from the run's: %+v", work.Retry)
	}
	if work.Breaker.Cooldown.D() != 30*time.Second || work.Budget.Fuel != 1e9 || work.OnError != pipeline.OnErrorDead || work.Timeout != 20*time.Second {
		t.Errorf("common keys: %+v", work)
	}
	if s := plan.Stages[3]; s.When != nil || s.OnError != pipeline.OnErrorRetry || s.Retry != nil {
		t.Errorf("defaults: %+v", s)
	}
	if got := plan.Stages[0].Config.(claimConfig).Lease.D(); got != 30*time.Second {
		t.Errorf("the default lease is %v", got)
	}
	if made, err := plan.Stages[2].Build(context.Background(), pipeline.Env{}); err != nil || made == nil {
		t.Errorf("Build: %v, %v", made, err)
	}
}

func TestEffective(t *testing.T) {
	plan, problems := pipeline.Load("p.yaml", []byte(wholeFile), testSet)
	if len(problems) > 0 {
		t.Fatal(problems)
	}
	var got []string
	for _, p := range plan.Effective() {
		got = append(got, fmt.Sprintf("%s %d %s", p.Stage, p.Concurrency, p.Limit))
	}
	want := []string{"claim 8 run", "distribute 8 run", "work 2 stage", "work-3 8 run", "work-2 8 run", "drop 8 run"}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
}

// TestSourceIsNormal: layout does not change the digest, a value does, and a
// secret is no part of it.
func TestSourceIsNormal(t *testing.T) {
	digest := func(from string) pipeline.Digest {
		plan, problems := pipeline.Load("p.yaml", []byte("waybill: v1\nname: n\nstages:\n  - claim:\n      from: "+from+"\n"), testSet)
		if len(problems) > 0 {
			t.Fatal(problems)
		}
		if pipeline.DigestOf(plan.Source) != plan.Digest {
			t.Error("the digest is not that of the source")
		}
		return plan.Digest
	}
	if digest("a # comment") != digest("'a'") || digest("a") == digest("b") {
		t.Error("the digest depends on layout, or not on values")
	}
	t.Setenv("PIPELINE_TEST", "one")
	first := digest("${env:PIPELINE_TEST}")
	t.Setenv("PIPELINE_TEST", "two")
	if first != digest("${env:PIPELINE_TEST}") {
		t.Error("the digest depends on a secret")
	}
}

func TestValidator(t *testing.T) {
	_, problems := load(t, claimLine+"  - work:\n      use: missing.wasm\n")
	if len(problems) != 1 || problems[0].Code != "no-kernel" || problems[0].Line != 6 || problems[0].Col != 12 || problems[0].Path != "stages[1].work.use" {
		t.Errorf("got %v", problems)
	}
	_, problems = load(t, claimLine+"  - work:\n      use: missing.wasm\n      ratio: 7\n")
	if len(problems) != 1 || problems[0].Code != pipeline.CodeOutOfRange {
		t.Errorf("a config with problems was validated: %v", problems)
	}
}

func TestLoadFile(t *testing.T) {
	dir := t.TempDir()
	for name, want := range map[string]string{
		filepath.Join(dir, "none.yaml"): "none.yaml:1:1: the file cannot be read: no such file or directory [unreadable]",
		dir:                             ":1:1: the file cannot be read: is a directory [unreadable]",
	} {
		plan, problems := pipeline.LoadFile(name, testSet)
		if plan != nil || len(problems) != 1 || !strings.HasSuffix(problems.Error(), want) {
			t.Errorf("%s: %v", name, problems)
		}
	}
	file := filepath.Join(dir, "good.yaml")
	if err := os.WriteFile(file, []byte(wholeFile), 0o600); err != nil {
		t.Fatal(err)
	}
	if plan, problems := pipeline.LoadFile(file, testSet); plan == nil || len(problems) > 0 {
		t.Error(problems)
	}
	if err := os.WriteFile(file, make([]byte, 3<<20), 0o600); err != nil {
		t.Fatal(err)
	}
	if _, problems := pipeline.LoadFile(file, testSet); len(problems) != 1 || problems[0].Code != pipeline.CodeTooLarge {
		t.Error(problems)
	}
}

func TestSet(t *testing.T) {
	small := testSet.Without("work", "distribute")
	if diff := cmp.Diff([]string{"claim", "drop"}, small.Kinds()); diff != "" {
		t.Error(diff)
	}
	if _, ok := testSet.Lookup("work"); !ok {
		t.Error("Without changed its receiver")
	}
	drop, _ := testSet.Lookup("drop")
	drop.Doc = "other"
	if got, _ := small.With(drop).Lookup("drop"); got.Doc != "other" || len(small.With(drop).Defs()) != 2 {
		t.Errorf("With did not replace: %+v", got)
	}
	for name, bad := range map[string]func(){
		"twice":  func() { pipeline.NewSet(drop, drop) },
		"common": func() { d := drop; d.Kind = "timeout"; pipeline.NewSet(d) },
		"role": func() {
			pipeline.Define("x", "", 0, func(context.Context, int, pipeline.Env) (int, error) { return 0, nil })
		},
	} {
		func() {
			defer func() {
				if recover() == nil {
					t.Errorf("%s: no panic", name)
				}
			}()
			bad()
		}()
	}
}

// FuzzLoad: no panic, every problem has a place, and a file loads the same way
// twice.
func FuzzLoad(f *testing.F) {
	f.Add([]byte(wholeFile))
	f.Add(manyStages(2))
	vectors, err := filepath.Glob("../spec/vectors/config/*.yaml")
	if err != nil || len(vectors) == 0 {
		f.Fatal("no vectors", err)
	}
	for _, v := range vectors {
		src, err := os.ReadFile(v)
		if err != nil {
			f.Fatal(err)
		}
		f.Add(src)
	}
	f.Fuzz(func(t *testing.T, src []byte) {
		plan, problems := pipeline.Load("f.yaml", src, testSet)
		if (plan == nil) != (len(problems) > 0) {
			t.Fatalf("plan %v and problems %v", plan, problems)
		}
		for _, p := range problems {
			if p.Line < 1 || p.Col < 1 || p.Code == "" || p.Message == "" {
				t.Fatalf("bad problem %+v", p)
			}
		}
		again, problems2 := pipeline.Load("f.yaml", src, testSet)
		if problems.Error() != problems2.Error() {
			t.Fatalf("two loads differ:\n%v\n%v", problems, problems2)
		}
		if plan != nil && (plan.Digest != again.Digest || len(plan.Stages) == 0) {
			t.Fatalf("two plans differ: %v %v", plan.Digest, again.Digest)
		}
	})
}

func ExampleLoad() {
	_, problems := pipeline.Load("capture.yaml", []byte(`waybill: v1
name: capture
stages:
  - claim: { from: "sqlite:queue.db", lease: 30 }
  - wrok: { use: x.wasm }
`), testSet)
	fmt.Println(problems)
	var err error = problems
	fmt.Println(errors.As(err, new(pipeline.Problems)))
	// Output:
	// capture.yaml:4:46: stages[0].claim.lease: "30" has no unit (write 30s or 30ms) [bad-duration]
	//     4 |   - claim: { from: "sqlite:queue.db", lease: 30 }
	//       |                                              ^
	// capture.yaml:5:5: stages[1].wrok: there is no stage of the kind "wrok" (did you mean work?) [unknown-stage]
	//     5 |   - wrok: { use: x.wasm }
	//       |     ^
	// true
}
