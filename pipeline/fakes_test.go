package pipeline_test

import (
	"context"
	"time"

	"github.com/waybill-dev/waybill/pipeline"
)

// The tests of the loader use a small set of their own: a source, a
// distributor and stages with every kind of field.

type claimConfig struct {
	// URL of the queue.
	From string `yaml:"from" secret:"false"`
	// Name of the queue.
	Queue string `yaml:"queue,optional"`
	// How long a claim lasts.
	Lease pipeline.Duration `yaml:"lease,optional" min:"1s" max:"1h"`
}

type source struct{ pipeline.Source }

type laneConfig struct {
	Lanes int            `yaml:"lanes" min:"1" max:"64"`
	By    string         `yaml:"by,optional" enum:"round_robin|key|priority|least_loaded"`
	Key   *pipeline.Expr `yaml:"key,optional"`
}

type lanes struct{ pipeline.Distributor }

type limits struct {
	Memory pipeline.Bytes `yaml:"memory,optional" max:"1GiB"`
	Fuel   pipeline.Count `yaml:"fuel,optional"`
}

type Shared struct {
	Headers map[string]string `yaml:"headers,optional"`
}

type workConfig struct {
	Use    string            `yaml:"use"`
	With   pipeline.Template `yaml:"with,optional"`
	Limits limits            `yaml:"limits,optional"`
	Grant  []string          `yaml:"grant,optional" enum:"http|blob|secret"`
	Ratio  float64           `yaml:"ratio,optional" min:"0" max:"1"`
	Deep   *bool             `yaml:"deep,optional"`
	Shared `yaml:",inline"`
}

// Validate refuses one file by name.
func (c *workConfig) Validate(v *pipeline.Validation) {
	if c.Use == "missing.wasm" {
		v.Problem("use", "no-kernel", "build it first", "the file %q does not exist", c.Use)
	}
}

type dropConfig struct{}

type stage struct{}

func (stage) Process(context.Context, *pipeline.Item) error { return nil }

var testSet = pipeline.NewSet(
	pipeline.Define("claim", "takes items", claimConfig{Queue: "default", Lease: pipeline.Duration(30 * time.Second)},
		func(context.Context, claimConfig, pipeline.Env) (source, error) { return source{}, nil }),
	pipeline.Define("distribute", "spreads items", laneConfig{By: "round_robin"},
		func(context.Context, laneConfig, pipeline.Env) (lanes, error) { return lanes{}, nil }),
	pipeline.Define("work", "works", workConfig{},
		func(context.Context, workConfig, pipeline.Env) (stage, error) { return stage{}, nil }),
	pipeline.Define("drop", "drops", dropConfig{},
		func(context.Context, dropConfig, pipeline.Env) (stage, error) { return stage{}, nil }),
)
