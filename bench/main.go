package main

import (
	"encoding/json"
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"runtime"
)

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
	for _, subject := range []func() ([]probe, error){w.scheduler, w.engine, w.kernels, w.start, w.check, w.stall} {
		probes, err := subject()
		if err != nil {
			return err
		}
		more, err := measure(probes, rounds)
		if err != nil {
			return err
		}
		results = append(results, more...)
	}
	if err := printResults(os.Stdout, results); err != nil || out == "" {
		return err
	}
	report := Report{Method: "CPU time by getrusage, interleaved rounds, medians", Go: runtime.Version(), CPUs: runtime.NumCPU(), Results: results}
	text, err := json.MarshalIndent(report, "", "  ")
	if err != nil {
		return err
	}
	if err := os.MkdirAll(filepath.Dir(out), 0o755); err != nil {
		return err
	}
	return os.WriteFile(out, append(text, '\n'), 0o644)
}
