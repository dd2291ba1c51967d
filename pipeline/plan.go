package pipeline

import (
	"context"
	"time"
)

// Plan is a pipeline file after loading: typed, checked and ready to build.
type Plan struct {
	// File is the path it was loaded from, Dir its absolute folder.
	File, Dir string
	Name      string
	// Version is that of the pipeline, 0 if the file has none; the highest one
	// on a queue is the one that runs.
	Version int
	Run     RunConfig
	Stages  []StagePlan
	// Source is the normalised pipeline and Digest its digest; see RunInfo.
	Source []byte
	Digest Digest
	// Secrets are the values that came from ${env:} and ${file:}, for
	// redaction.
	Secrets []string
}

// RunConfig is the run: block with defaults filled in.
type RunConfig struct {
	// Items in flight at the same time, at most.
	Concurrency int `yaml:"concurrency,optional" min:"1" max:"100000"`
	// Time that one item may take over all attempts.
	Deadline Duration `yaml:"deadline,optional"`
	// What one item may spend.
	Budget BudgetConfig `yaml:"budget,optional"`
	// How often and how soon a failed item is tried again.
	Retry RetryConfig `yaml:"retry,optional"`
	// Time that items in flight get to finish after SIGTERM.
	Drain Duration `yaml:"drain,optional"`
}

// BudgetConfig limits what one item may spend; 0 is unlimited.
type BudgetConfig struct {
	// WASM work, in units of fuel.
	Fuel Count `yaml:"fuel,optional"`
	// Bytes moved in and out by kernel, execute (what is read from the page), send (request and answer, or the line) and store (once, whatever the copies). Other stages move none.
	IO Bytes `yaml:"io,optional"`
}

// RetryConfig is a retry policy.
type RetryConfig struct {
	// Claims of an item before it is dead. A short failure is tried again at once besides, see inPlace; with 1 nothing is tried twice.
	Attempts int `yaml:"attempts,optional" min:"1" max:"1000"`
	// Further tries of a stage within one claim, at most; 0 is for stages that must not be repeated at once, such as a POST or a form.
	InPlace int `yaml:"inPlace,optional" min:"0" max:"10"`
	// Shortest and longest wait; the wait doubles and is fully jittered.
	Backoff Range `yaml:"backoff,optional"`
}

// OnError says what becomes of an item whose stage failed.
type OnError string

const (
	OnErrorRetry OnError = "retry" // by the retry policy, then dead (the default)
	OnErrorDead  OnError = "dead"  // dead at the first failure
	OnErrorDrop  OnError = "drop"  // acknowledged as dropped, not kept
	OnErrorStop  OnError = "stop"  // give the item back and end the run
)

// BreakerConfig opens a stage's circuit after failures.
type BreakerConfig struct {
	// Failures in a row that open the circuit.
	Failures int `yaml:"failures" min:"1"`
	// Time until one item may try again.
	Cooldown Duration `yaml:"cooldown,optional"`
}

// StagePlan is one stage of a plan.
type StagePlan struct {
	// Name is unique in the plan; the kind if none was given (claim, kernel,
	// kernel-2).
	Name string
	Kind string
	Role Role
	Pos  Pos
	// When skips the stage for items where it does not hold; nil: always run.
	When *Condition
	// Timeout of one call; 0: none besides the item's deadline.
	Timeout time.Duration
	// Concurrency is how many items may be inside; 0: as many as the run has.
	Concurrency int
	// Retry overrides the run's policy; nil: the run's.
	Retry   *RetryConfig
	OnError OnError
	Breaker *BreakerConfig
	// Budget limits what this stage may spend of the item's budget; zero: all.
	Budget BudgetConfig
	// Limit is what all processes on the queue may do together; nil: no limit.
	Limit *LimitConfig
	// Config is the typed config (a value of Def.Config).
	Config any
	def    Def
}

// Build makes the stage: a Stage, Source or Distributor, by Role.
func (s *StagePlan) Build(ctx context.Context, env Env) (any, error) {
	return s.def.build(ctx, s.Config, env)
}

// NewStagePlan makes a stage plan in Go, for embedding and tests.
func NewStagePlan(name string, def Def, config any) StagePlan {
	return StagePlan{Name: name, Kind: def.Kind, Role: def.Role, OnError: OnErrorRetry, Config: config, def: def}
}

// DefaultRun is the run: block of a file that has none.
func DefaultRun() RunConfig {
	return RunConfig{
		Concurrency: 8,
		Retry:       RetryConfig{Attempts: 4, InPlace: 2, Backoff: Range{Duration(500 * time.Millisecond), Duration(30 * time.Second)}},
		Drain:       Duration(30 * time.Second),
	}
}

// Parallelism is how many items can be inside a stage at once, and why.
type Parallelism struct {
	Stage string `json:"stage"`
	Kind  string `json:"kind"`
	// Concurrency is the effective number.
	Concurrency int `json:"concurrency"`
	// Limit names the setting that decides: "run", "stage" or "limit", that of
	// all processes together.
	Limit string `json:"limit"`
}

// Effective returns the effective parallelism of each stage: a carrier walks
// one item at a time, so a stage never has more of them than the run, whatever
// its own concurrency says. A limit per key is not among them: nobody knows how
// many keys there will be.
func (p *Plan) Effective() []Parallelism {
	out := make([]Parallelism, len(p.Stages))
	for i := range p.Stages {
		s := &p.Stages[i]
		out[i] = Parallelism{Stage: s.Name, Kind: s.Kind, Concurrency: p.Run.Concurrency, Limit: "run"}
		if s.Concurrency > 0 && s.Concurrency < p.Run.Concurrency {
			out[i].Concurrency, out[i].Limit = s.Concurrency, "stage"
		}
		if l := s.Limit; l != nil && l.Per.IsZero() && l.Concurrency > 0 && l.Concurrency < out[i].Concurrency {
			out[i].Concurrency, out[i].Limit = l.Concurrency, "limit"
		}
	}
	return out
}
