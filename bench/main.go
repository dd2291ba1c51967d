package main

import (
	"encoding/json"
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"time"
)

// Report is results.json.
type Report struct {
	Method  string   `json:"method"`
	Date    string   `json:"date"` // of its end, UTC
	Go      string   `json:"go"`
	CPUs    int      `json:"cpus"`
	Results []Result `json:"results"`
}

func main() {
	out := flag.String("out", "", "file for the results as JSON; none if empty")
	bin := flag.String("waybill", "", "the built command; built here if empty")
	docs := flag.String("docs", "", "measure nothing: put the tables of the file that -out names into this page")
	rounds := flag.Int("rounds", 7, "rounds per measurement")
	only := flag.String("only", "", "one subject: scheduler, engine, kernels, start, check, stall or queues; all if empty")
	flag.Parse()
	var err error
	if *docs != "" {
		err = rewrite(*docs, *out)
	} else {
		err = run(*out, *bin, *only, *rounds)
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, "bench:", err)
		os.Exit(1)
	}
}

func run(out, bin, only string, rounds int) error {
	if rounds < 1 {
		return fmt.Errorf("-rounds %d: at least one round is needed", rounds)
	}
	dir, err := os.MkdirTemp("", "waybill-bench-")
	if err != nil {
		return err
	}
	defer os.RemoveAll(dir)
	w := &workshop{dir: dir}
	if w.bin, err = w.command(bin); err != nil {
		return err
	}
	var results []Result
	for _, subject := range w.subjects() {
		if only != "" && only != subject.name {
			continue
		}
		more, err := subject.measure(rounds)
		if err != nil {
			return fmt.Errorf("%s: %w", subject.name, err)
		}
		for i := range more {
			more[i].Subject = subject.name
		}
		results = append(results, more...)
	}
	if len(results) == 0 {
		return fmt.Errorf("-only %s: there is no such subject", only)
	}
	if err := printResults(os.Stdout, results); err != nil || out == "" {
		return err
	}
	report := Report{Method: "CPU time by getrusage, interleaved rounds, medians",
		Date: time.Now().UTC().Format(time.DateTime), Go: runtime.Version(), CPUs: runtime.NumCPU(), Results: results}
	text, err := json.MarshalIndent(report, "", "  ")
	if err != nil {
		return err
	}
	if err := os.MkdirAll(filepath.Dir(out), 0o755); err != nil {
		return err
	}
	return os.WriteFile(out, append(text, '\n'), 0o644)
}

// subject is one part of the report.
type subject struct {
	name    string
	measure func(rounds int) ([]Result, error)
}

func (w *workshop) subjects() []subject {
	of := func(probes func() ([]probe, error)) func(int) ([]Result, error) {
		return func(rounds int) ([]Result, error) {
			all, err := probes()
			if err != nil {
				return nil, err
			}
			return measure(all, rounds)
		}
	}
	return []subject{
		{"scheduler", of(w.scheduler)}, {"engine", of(w.engine)}, {"kernels", of(w.kernels)}, {"start", of(w.start)},
		{"check", of(w.check)}, {"stall", of(w.stall)}, {"queues", w.queues},
	}
}
