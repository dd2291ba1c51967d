package distribute

import (
	"context"
	"fmt"
	"hash/fnv"
	"sync/atomic"

	"github.com/waybill-dev/waybill/pipeline"
)

// Ways to choose a lane.
const (
	ByRoundRobin  = "round_robin"  // one lane after the other
	ByKey         = "key"          // the lane of the key; a key runs once at a time
	ByPriority    = "priority"     // as round_robin; carriers take the highest priority first
	ByLeastLoaded = "least_loaded" // the lane with the fewest items waiting or running
)

// Config is the config of the stage "distribute".
type Config struct {
	// Number of lanes; the default is that of a run's concurrency.
	Lanes int `yaml:"lanes,optional" min:"1" max:"1024"`
	// How a lane is chosen: round_robin, key, priority or least_loaded.
	By string `yaml:"by,optional" enum:"round_robin|key|priority|least_loaded"`
	// Expression for the key, with by: key.
	Key *pipeline.Expr `yaml:"key,optional"`
}

// Def returns the definition of the stage "distribute".
func Def() pipeline.Def {
	defaults := Config{Lanes: pipeline.DefaultRun().Concurrency, By: ByRoundRobin}
	return pipeline.Define("distribute", "spreads items over lanes, by key, in turn, by priority or by load",
		defaults, New)
}

// Validate reports what does not fit together.
func (c Config) Validate(v *pipeline.Validation) {
	switch keyed := !c.Key.IsZero(); {
	case c.By == ByKey && !keyed:
		v.Problem("key", pipeline.CodeMissingKey, "for example key: item.meta.host", "by: key needs a key")
	case c.By != ByKey && keyed:
		v.Problem("key", "unused-key", "write by: key, or leave key out", "key has no effect with by: %s", c.By)
	}
}

// distributor places items. It has no state but a turn.
type distributor struct {
	cfg  Config
	turn atomic.Uint64
}

// New makes the distributor of a config that the loader has checked.
func New(_ context.Context, c Config, _ pipeline.Env) (pipeline.Distributor, error) {
	return &distributor{cfg: c}, nil
}

// Lanes returns the number of lanes.
func (d *distributor) Lanes() int { return d.cfg.Lanes }

// ByPriority reports whether carriers take the highest priority first.
func (d *distributor) ByPriority() bool { return d.cfg.By == ByPriority }

// Place assigns an item to a lane. An empty key, or one that cannot be
// evaluated, is a permanent error: a guess would break the order of its key.
func (d *distributor) Place(it *pipeline.Item, load []int) (pipeline.Placement, error) {
	switch d.cfg.By {
	case ByKey:
		key, err := d.cfg.Key.Text(it)
		if err != nil {
			return pipeline.Placement{}, &pipeline.Error{Kind: pipeline.Permanent, Code: "no-key", Pos: d.cfg.Key.Pos(),
				Err: fmt.Errorf("the key of item %s: %w", it.ID, err), Hint: "every item needs what the key expression names"}
		}
		if key == "" {
			return pipeline.Placement{}, &pipeline.Error{Kind: pipeline.Permanent, Code: "no-key", Pos: d.cfg.Key.Pos(),
				Err: fmt.Errorf("the key of item %s is empty: %s", it.ID, d.cfg.Key), Hint: "every item needs what the key expression names"}
		}
		return pipeline.Placement{Lane: LaneOf(key, d.cfg.Lanes), Key: key}, nil
	case ByLeastLoaded:
		return pipeline.Placement{Lane: d.leastLoaded(load)}, nil
	}
	return pipeline.Placement{Lane: d.next()}, nil
}

// next takes turns.
func (d *distributor) next() int {
	return int((d.turn.Add(1) - 1) % uint64(d.cfg.Lanes))
}

// leastLoaded starts the search at another lane each time, so that lanes of
// equal load take turns.
func (d *distributor) leastLoaded(load []int) int {
	best := d.next()
	for i := range load[:min(len(load), d.cfg.Lanes)] {
		if best >= len(load) || load[i] < load[best] {
			best = i
		}
	}
	return best
}

// LaneOf returns the lane of a key by rendezvous hashing (Thaler and
// Ravishankar 1998): the lane with the highest score. It is the same in every
// process, and another number of lanes moves only the share of the keys that
// it must.
func LaneOf(key string, lanes int) int {
	h := fnv.New64a()
	h.Write([]byte(key))
	sum := h.Sum64()
	best, top := 0, uint64(0)
	for lane := range lanes {
		if s := mix(sum + uint64(lane)*0x9e3779b97f4a7c15); s > top || lane == 0 {
			best, top = lane, s
		}
	}
	return best
}

// mix is the finalizer of SplitMix64: FNV alone leaves the high bits of short
// keys too similar to compare.
func mix(x uint64) uint64 {
	x = (x ^ x>>30) * 0xbf58476d1ce4e5b9
	x = (x ^ x>>27) * 0x94d049bb133111eb
	return x ^ x>>31
}
