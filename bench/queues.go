package main

import (
	"fmt"
	"path/filepath"
	"strconv"
	"strings"
)

// queueRounds bounds the rounds of the queues: each run makes a store of its own.
const queueRounds = 3

// within is how many times the floor a driver may cost.
const within = 1.5

// queueBench is the benchmarks of one driver: BenchmarkQueue beside BenchmarkFloor,
// which does the same with the engine alone.
type queueBench struct {
	driver, bin string
	env         []string // for a server that is a process of its own
	single      int      // items of a run, one per call
	batched     int      // items of a run, in batches; one batch for each worker at least
	// cpu is the most that claim and acknowledgement may cost in batches.
	cpu *float64
	// every load is promised to stay near the floor, not only batches.
	every bool
	// waiting is how many items may wait: a claim among the last costs what one
	// among the first does.
	waiting []int
}

// load is workers at the same time and items per call.
type load struct{ workers, batch int }

func (l load) String() string { return fmt.Sprintf("W%dB%d", l.workers, l.batch) }

// text is the load in words.
func (l load) text() string {
	if l.workers == 1 {
		return fmt.Sprintf("1 worker, batch %d", l.batch)
	}
	return fmt.Sprintf("%d workers, batch %d", l.workers, l.batch)
}

// queues compares what each driver takes to enqueue items, and to claim and
// acknowledge them, with its engine alone: durable, 1 and 8 workers, 1 and 100 items
// a call.
func (w *workshop) queues(rounds int) ([]Result, error) {
	server, err := w.startMongo()
	if err != nil {
		return nil, err
	}
	defer server.end()
	rounds = min(rounds, queueRounds)
	waiting := []int{1_000, 1_000_000}
	var results []Result
	for _, d := range []queueBench{
		{driver: "sqlite", single: 800, batched: 8000, cpu: atMost(15), waiting: waiting},
		{driver: "mongodb", single: 200, batched: 200, every: true, env: server.env()},
		{driver: "nats", single: 300, batched: 800, every: true, waiting: waiting},
	} {
		if d.bin, err = w.testBinary("stages/claim/" + d.driver); err != nil {
			return nil, err
		}
		more, err := d.results(rounds)
		if err != nil {
			return nil, fmt.Errorf("%s: %w", d.driver, err)
		}
		results = append(results, more...)
	}
	return results, nil
}

func (d queueBench) results(rounds int) ([]Result, error) {
	var probes []probe
	for _, act := range []string{"enqueue", "claim-ack"} {
		for _, l := range []load{{1, 1}, {8, 1}, {1, 100}, {8, 100}} {
			probes = append(probes, d.floor(act, l), d.queue(act, l))
		}
	}
	if len(d.waiting) > 0 {
		more, err := d.crowd(rounds)
		if err != nil {
			return nil, err
		}
		probes = append(probes, more...)
	}
	return measure(probes, rounds)
}

func (d queueBench) run(benchmark, act string, l load) func() (map[string]float64, error) {
	n := d.single
	if l.batch > 1 {
		n = max(d.batched, l.workers*l.batch)
	}
	return func() (map[string]float64, error) {
		all, err := d.benchmarks(fmt.Sprintf("^%s$/^%s$/^%s$", benchmark, act, l), n)
		if err != nil {
			return nil, err
		}
		return all[0], nil
	}
}

func (d queueBench) benchmarks(name string, n int, env ...string) ([]map[string]float64, error) {
	return benchmarks(filepath.Join("stages", "claim", d.driver), d.bin, name, n, append(env, d.env...)...)
}

// name names a figure: what is done by whom.
func name(who, act string, l load) string {
	return fmt.Sprintf("%s, %s, %s", who, strings.ReplaceAll(act, "-", " and "), l.text())
}

const (
	cpuKey, cpuUnit   = "cpu-us/item", "us CPU/item"
	serverKey         = "server-cpu-us/item"
	rateKey, rateUnit = "items/s", "items/s"
)

// alone is what a floor is called.
func (d queueBench) alone() string { return d.driver + "'s engine alone" }

func (d queueBench) floor(act string, l load) probe {
	of := name(d.alone(), act, l)
	figures := []figure{{name: of, key: cpuKey, unit: cpuUnit}, {name: of + ", rate", key: rateKey, unit: rateUnit}}
	if len(d.env) > 0 {
		figures = append(figures, figure{name: of + ", server", key: serverKey, unit: cpuUnit})
	}
	return probe{d.run("BenchmarkFloor", act, l), figures}
}

func (d queueBench) queue(act string, l load) probe {
	of, floor := name(d.driver, act, l), name(d.alone(), act, l)
	cpu := figure{name: of, key: cpuKey, unit: cpuUnit, ratioTo: floor}
	if act == "claim-ack" && (d.every || l.batch > 1) {
		cpu.ratioTarget = atMost(within)
	}
	if act == "claim-ack" && l.batch > 1 {
		cpu.target = d.cpu
	}
	figures := []figure{cpu, {name: of + ", rate", key: rateKey, unit: rateUnit}}
	if len(d.env) > 0 {
		figures = append(figures, figure{name: of + ", server", key: serverKey, unit: cpuUnit, ratioTo: floor + ", server", ratioTarget: cpu.ratioTarget})
	}
	if d.driver == "sqlite" && act == "claim-ack" && l == (load{8, 1}) {
		figures = append(figures, figure{name: of + ", group commit", key: rateKey, unit: rateUnit,
			ratioTo: name(d.driver, act, load{1, 1}) + ", rate", ratioTarget: atMost(3), atLeast: true})
	}
	return probe{d.run("BenchmarkQueue", act, l), figures}
}

// flat is how much more a claim may cost when many wait: what the noise of a
// figure is, and the deeper trees.
const flat = 1.25

// crowd measures claims while others wait. All rounds are of one process, which
// fills its stores once and lets the sizes take turns.
func (d queueBench) crowd(rounds int) ([]probe, error) {
	all, err := d.benchmarks("^BenchmarkWaiting$", d.single, "WAYBILL_BENCH_ROUNDS="+strconv.Itoa(2*rounds))
	if err != nil {
		return nil, err
	}
	if want := 2 * rounds * len(d.waiting); len(all) != want {
		return nil, fmt.Errorf("%d figures of waiting items, want %d", len(all), want)
	}
	name := func(n int) string {
		return fmt.Sprintf("%s, claim and ack, 1 worker, batch 100, %d others wait", d.driver, n)
	}
	var probes []probe
	for i, n := range d.waiting {
		f := figure{name: name(n), key: cpuKey, unit: cpuUnit}
		if i > 0 {
			f.ratioTo, f.ratioTarget = name(d.waiting[0]), atMost(flat)
		}
		round := 0
		probes = append(probes, probe{func() (map[string]float64, error) {
			m := all[round*len(d.waiting)+i]
			round++
			return m, nil
		}, []figure{f}})
	}
	return probes, nil
}
