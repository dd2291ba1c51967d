package pipelinetest

import (
	"context"
	"reflect"
	"strings"
	"testing"
	"time"

	"github.com/waybill-dev/waybill/pipeline"
)

// patience is how long a call may take that should return at once. It bounds a
// hang; it measures nothing.
const patience = 20 * time.Second

// Option changes what Exercise does.
type Option func(*exercise)

// Config gives the stage's smallest config, in block style YAML ("to:
// file:objects"). The default is none.
func Config(yaml string) Option { return func(x *exercise) { x.config = yaml } }

// NewItem makes the items that the stage succeeds with. The default is Item
// with the body {"n": 1}.
func NewItem(mk func() *pipeline.Item) Option { return func(x *exercise) { x.item = mk } }

// BadItem makes an item that the stage fails on; without it failures are not
// exercised.
func BadItem(mk func() *pipeline.Item) Option { return func(x *exercise) { x.bad = mk } }

// Prepare fills the folder of the pipeline file before anything is loaded.
func Prepare(fill func(t testing.TB, dir string)) Option {
	return func(x *exercise) { x.prepare = fill }
}

// NoStart leaves out everything that starts the stage, for machines without
// what it needs (a browser). The config is still exercised.
func NoStart() Option { return func(x *exercise) { x.noStart = true } }

type exercise struct {
	def     pipeline.Def
	config  string
	item    func() *pipeline.Item
	bad     func() *pipeline.Item
	prepare func(t testing.TB, dir string)
	noStart bool
	dir     string
}

// Exercise runs the conformance suite on one definition:
//
//   - its smallest config loads, and an unknown key in it is a problem at the
//     key;
//   - it starts, processes an item, and processes items of several goroutines
//     at once (run it with the race detector);
//   - it returns soon after its context has ended, and does not blame the item;
//   - it leaves an item's identity alone, whether it succeeds or fails;
//   - it can be closed without a start, and twice.
func Exercise(t *testing.T, def pipeline.Def, options ...Option) {
	t.Helper()
	x := &exercise{def: def, dir: t.TempDir(), item: func() *pipeline.Item { return Item(map[string]any{"n": 1}) }}
	for _, o := range options {
		o(x)
	}
	if x.prepare != nil {
		x.prepare(t, x.dir)
	}
	t.Run("config", x.testConfig)
	t.Run("unknown key", x.testUnknownKey)
	t.Run("doc", x.testDoc)
	if x.noStart {
		return
	}
	t.Run("close", x.testClose)
	switch def.Role {
	case pipeline.RoleSource:
		t.Run("source", x.testSource)
	case pipeline.RoleDistributor:
		t.Run("distributor", x.testDistributor)
	default:
		t.Run("process", x.testProcess)
		t.Run("cancelled", x.testCancelled)
		t.Run("concurrent", x.testConcurrent)
		t.Run("batch", x.testBatch)
		if x.bad != nil {
			t.Run("failure", x.testFailure)
		}
	}
}

// file renders a pipeline with the stage in it, and returns the line and
// column of the first key after the config.
func (x *exercise) file(extra string) (text string, line, col int) {
	text = "waybill: v1\nname: exercise\nstages:\n"
	if x.def.Role != pipeline.RoleSource {
		text += "  - source:\n"
	}
	text += "  - " + x.def.Kind + ":\n"
	if strings.TrimSpace(x.config) != "" {
		text += indent(x.config, 6)
	}
	line = strings.Count(text, "\n") + 1
	if extra != "" {
		text += "      " + extra + "\n"
	}
	return text, line, 7
}

func (x *exercise) load(extra string) (*pipeline.Plan, pipeline.Problems) {
	set := pipeline.NewSet(x.def)
	if x.def.Role != pipeline.RoleSource {
		set = set.With(SourceDef(NewSource()))
	}
	text, _, _ := x.file(extra)
	return pipeline.Load(x.dir+"/pipeline.yaml", []byte(text), set)
}

func (x *exercise) testConfig(t *testing.T) {
	plan, problems := x.load("")
	if len(problems) > 0 {
		t.Fatalf("the smallest config has problems:\n%v", problems)
	}
	last := plan.Stages[len(plan.Stages)-1]
	if got := reflect.TypeOf(last.Config); got != x.def.Config {
		t.Errorf("the config is a %v, want %v", got, x.def.Config)
	}
}

func (x *exercise) testUnknownKey(t *testing.T) {
	if _, own := reflect.New(x.def.Config).Interface().(pipeline.NodeUnmarshaler); own || x.def.Config.Kind() != reflect.Struct {
		t.Log("the config decodes itself; its keys are its own business")
		return
	}
	_, problems := x.load("no_such_key: 1")
	_, line, col := x.file("no_such_key: 1")
	if len(problems) != 1 || problems[0].Code != pipeline.CodeUnknownKey || problems[0].Line != line || problems[0].Col != col {
		t.Fatalf("want one unknown-key at %d:%d, got:\n%v", line, col, problems)
	}
}

func (x *exercise) testDoc(t *testing.T) {
	if x.def.Doc == "" || strings.Contains(x.def.Doc, "\n") {
		t.Errorf("the definition needs one line of documentation, has %q", x.def.Doc)
	}
}

// build makes the stage; start starts it and closes it at the end of t.
func (x *exercise) build(t *testing.T) any {
	t.Helper()
	plan, problems := x.load("")
	if len(problems) > 0 {
		t.Fatal(problems)
	}
	env := Env(t)
	env.Dir, env.Kind, env.Stage = x.dir, x.def.Kind, x.def.Kind
	env.Run.Source, env.Run.Digest = plan.Source, plan.Digest
	made, err := plan.Stages[len(plan.Stages)-1].Build(t.Context(), env)
	if err != nil {
		t.Fatalf("build: %v", err)
	}
	return made
}

func (x *exercise) start(t *testing.T) any {
	t.Helper()
	made := x.build(t)
	t.Cleanup(func() {
		if err := closeStage(made); err != nil {
			t.Errorf("close: %v", err)
		}
	})
	if s, ok := made.(pipeline.Starter); ok {
		if err := s.Start(t.Context()); err != nil {
			t.Fatalf("start: %v", err)
		}
	}
	return made
}

func closeStage(made any) error {
	if c, ok := made.(pipeline.Closer); ok {
		return c.Close()
	}
	return nil
}

// testClose: a stage that never started, or failed to, is closed too, and a
// second Close does no harm.
func (x *exercise) testClose(t *testing.T) {
	made := x.build(t)
	if err := closeStage(made); err != nil {
		t.Errorf("close without start: %v", err)
	}
	_ = closeStage(made)

	made = x.build(t)
	if s, ok := made.(pipeline.Starter); ok {
		ctx, cancel := context.WithCancel(t.Context())
		cancel()
		within(t, "Start with a context that has ended", func() { _ = s.Start(ctx) })
		if err := closeStage(made); err != nil {
			t.Errorf("close after a start that was cancelled: %v", err)
		}
	}
}

// within fails the test if do does not return.
func within(t *testing.T, what string, do func()) {
	t.Helper()
	done := make(chan struct{})
	go func() {
		defer close(done)
		do()
	}()
	select {
	case <-done:
	case <-time.After(patience):
		t.Fatalf("%s did not return within %v", what, patience)
	}
}
