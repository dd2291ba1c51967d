package main

import (
	"encoding/json"
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"slices"
)

// Result is one line of results.json.
type Result struct {
	Name  string  `json:"name"`
	Value float64 `json:"value"`
	Unit  string  `json:"unit"`
	// RatioTo is the name of the result that a ratio divides by.
	RatioTo string `json:"ratioTo,omitempty"`
	// Target is the most (or, for rates, the least) that the project promises.
	Target float64 `json:"target,omitempty"`
	// Rounds is how many rounds the median is of.
	Rounds int `json:"rounds"`
}

// Report is results.json.
type Report struct {
	Method  string   `json:"method"`
	Go      string   `json:"go"`
	CPUs    int      `json:"cpus"`
	Results []Result `json:"results"`
}

func main() {
	out := flag.String("out", "", "file for the results as JSON; none if empty")
	bin := flag.String("waybill", "", "the built command; built here if empty")
	rounds := flag.Int("rounds", 7, "rounds per measurement")
	flag.Parse()
	if err := run(*out, *bin, *rounds); err != nil {
		fmt.Fprintln(os.Stderr, "bench:", err)
		os.Exit(1)
	}
}

func run(out, bin string, rounds int) error {
	dir, err := os.MkdirTemp("", "waybill-bench-")
	if err != nil {
		return err
	}
	defer os.RemoveAll(dir)
	b := &bench{dir: dir, rounds: rounds}
	if b.bin, err = b.command(bin); err != nil {
		return err
	}
	for _, measure := range []func() error{b.scheduler, b.pipeline, b.start, b.check} {
		if err := measure(); err != nil {
			return err
		}
	}
	b.print(os.Stdout)
	if out == "" {
		return nil
	}
	report := Report{Method: "CPU time by getrusage, interleaved rounds, medians", Go: runtime.Version(), CPUs: runtime.NumCPU(), Results: b.results}
	text, err := json.MarshalIndent(report, "", "  ")
	if err != nil {
		return err
	}
	if err := os.MkdirAll(filepath.Dir(out), 0o755); err != nil {
		return err
	}
	return os.WriteFile(out, append(text, '\n'), 0o644)
}

// bench gathers results.
type bench struct {
	dir, bin string
	rounds   int
	results  []Result
}

func (b *bench) add(name string, value float64, unit string, target float64) {
	b.results = append(b.results, Result{Name: name, Value: round(value), Unit: unit, Target: target, Rounds: b.rounds})
}

// ratio adds the quotient of two series, as the median of the rounds' quotients.
func (b *bench) ratio(name, to string, series, base []float64) {
	q := make([]float64, len(series))
	for i := range series {
		q[i] = series[i] / base[i]
	}
	b.results = append(b.results, Result{Name: name, Value: round(median(q)), Unit: "ratio", RatioTo: to, Rounds: b.rounds})
}

func median(v []float64) float64 {
	s := slices.Sorted(slices.Values(v))
	if n := len(s); n%2 == 0 {
		return (s[n/2-1] + s[n/2]) / 2
	}
	return s[len(s)/2]
}

// round keeps four digits: the fifth is noise.
func round(v float64) float64 {
	var out float64
	fmt.Sscanf(fmt.Sprintf("%.4g", v), "%g", &out)
	return out
}
