package main

import (
	"bytes"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"time"
)

const (
	schedulerItems = 500_000
	engineItems    = 200_000
	checkStages    = 1000
)

// workshop is where the things are made that are measured.
type workshop struct{ dir, bin string }

// command returns the waybill binary, built stripped as a release is.
func (w *workshop) command(given string) (string, error) {
	if given != "" {
		return filepath.Abs(given)
	}
	bin := filepath.Join(w.dir, "waybill")
	return bin, goTool("build", "-trimpath", "-ldflags=-s -w", "-o", bin, "./cmd/waybill")
}

// testBinary builds a package's benchmarks.
func (w *workshop) testBinary(pkg string) (string, error) {
	bin := filepath.Join(w.dir, strings.ReplaceAll(pkg, "/", "_")+".test")
	return bin, goTool("test", "-c", "-o", bin, "./"+pkg)
}

func goTool(args ...string) error {
	cmd := exec.Command("go", args...)
	cmd.Stderr = os.Stderr
	return cmd.Run()
}

// schedulerRatio is what 150 ns an item, the target, were to the floor on the machine
// where they were set: it cost 24 ns there.
const schedulerRatio = 6.25

// scheduler compares what carries an item through five no-op stages (feed, line
// and guard) with the five interface calls alone.
func (w *workshop) scheduler() ([]probe, error) {
	bin, err := w.testBinary("runtime/internal/feed")
	if err != nil {
		return nil, err
	}
	const floor = "five plain interface calls"
	probes := []probe{{benchmark(bin, "^BenchmarkInterfaceCalls$", schedulerItems), []figure{{name: floor, key: "cpu-ns/item", unit: "ns CPU/item"}}}}
	for _, d := range []struct{ name, bench string }{
		{"scheduler, five no-op stages, 8 carriers", "^BenchmarkScheduler$/^carriers=8$"},
		{"scheduler, five no-op stages, 64 carriers", "^BenchmarkScheduler$/^carriers=64$"},
		{"scheduler, five no-op stages, 1 carrier", "^BenchmarkScheduler$/^carriers=1$"},
		{"scheduler, two of five limited, 8 carriers", "^BenchmarkLimited$/^carriers=8$"},
		{"scheduler, two limited, the last in order, 8 carriers", "^BenchmarkOrdered$/^carriers=8$"},
	} {
		probes = append(probes, probe{benchmark(bin, d.bench, schedulerItems), []figure{
			{name: d.name, key: "cpu-ns/item", unit: "ns CPU/item", target: atMost(150), ratioTo: floor, ratioTarget: atMost(schedulerRatio)},
			{name: d.name + ", allocations", key: "allocs/op", unit: "allocs/item", target: atMost(0)},
		}})
	}
	return probes, nil
}

// engine measures whole runs: what the books around each call cost (counters,
// budget, record of steps, outcome), and the throughput of generate, no-op, drop.
func (w *workshop) engine() ([]probe, error) {
	bin, err := w.testBinary("runtime")
	if err != nil {
		return nil, err
	}
	return []probe{
		{benchmark(bin, "^BenchmarkEngine$/^carriers=8$", engineItems), []figure{
			{name: "whole engine, five no-op stages, 8 carriers", key: "cpu-ns/item", unit: "ns CPU/item"},
			{name: "whole engine, five no-op stages, 8 carriers, allocations", key: "allocs/op", unit: "allocs/item"},
		}},
		{benchmark(bin, "^BenchmarkPipeline$/^carriers=8$", engineItems), []figure{
			{name: "generate, no-op, drop", key: "items/cpu-s", unit: "items/CPU second"},
		}},
	}, nil
}

// start measures the command. The first run of a fresh copy with an empty cache
// folder is as cold as a process may make it: the page cache has the copy, for it
// was just written, and only root could empty it.
func (w *workshop) start() ([]probe, error) {
	hello := filepath.Join(w.dir, "hello")
	if err := os.MkdirAll(hello, 0o755); err != nil {
		return nil, err
	}
	files := map[string]string{"people.jsonl": "{\"body\":{\"name\":\"Ada\"}}\n", "pipeline.yaml": `waybill: v1
name: hello
stages:
  - claim: { from: file:people.jsonl }
  - transform: { body: { greeting: "Hello, ${{ item.body.name }}!" } }
  - send: { to: file:out.jsonl }
`}
	for name, text := range files {
		if err := os.WriteFile(filepath.Join(hello, name), []byte(text), 0o644); err != nil {
			return nil, err
		}
	}
	fresh := func() (map[string]float64, error) {
		home, err := os.MkdirTemp(w.dir, "fresh-")
		if err != nil {
			return nil, err
		}
		defer os.RemoveAll(home)
		bin := filepath.Join(home, "waybill")
		if err := copyFile(w.bin, bin); err != nil {
			return nil, err
		}
		return used(home, bin, "version")()
	}
	return []probe{
		{fresh, []figure{{name: "start, cold (first run of a fresh copy)", key: "ms", unit: "ms CPU"}}},
		{used(w.dir, w.bin, "version"), []figure{{name: "start, warm", key: "ms", unit: "ms CPU", target: atMost(20)}}},
		{used(w.dir, w.bin, "run", filepath.Join(hello, "pipeline.yaml"), "--until-empty", "--quiet"),
			[]figure{{name: "run of one item, claim to send, warm", key: "ms", unit: "ms CPU"}}},
	}, nil
}

// check measures `waybill check` of a file with a thousand stages.
func (w *workshop) check() ([]probe, error) {
	var text strings.Builder
	text.WriteString("waybill: v1\nname: long\nstages:\n  - claim: { from: file:people.jsonl }\n")
	for i := range checkStages - 1 {
		fmt.Fprintf(&text, "  - name: step-%d\n    transform: { body: { n: \"${{ item.body.n + %d }}\" } }\n    when: item.body.n > %d\n", i, i, i)
	}
	file := filepath.Join(w.dir, "hello", "long.yaml")
	if err := os.WriteFile(file, []byte(text.String()), 0o644); err != nil {
		return nil, err
	}
	return []probe{{used(w.dir, w.bin, "check", file),
		[]figure{{name: fmt.Sprintf("check of %d stages", checkStages), key: "s", unit: "s CPU", target: atMost(0.1)}}}}, nil
}

// used returns a probe that runs a command: its CPU time in ms and in s.
func used(home, bin string, args ...string) func() (map[string]float64, error) {
	return func() (map[string]float64, error) {
		cmd := exec.Command(bin, args...)
		cmd.Env = append(os.Environ(), "XDG_CACHE_HOME="+filepath.Join(home, "cache"), "WAYBILL_CACHE="+filepath.Join(home, "cache"))
		var stderr bytes.Buffer
		cmd.Stderr = &stderr
		if err := cmd.Run(); err != nil {
			return nil, fmt.Errorf("%s %s: %w\n%s", filepath.Base(bin), strings.Join(args, " "), err, &stderr)
		}
		d := cmd.ProcessState.UserTime() + cmd.ProcessState.SystemTime()
		return map[string]float64{"ms": float64(d) / float64(time.Millisecond), "s": d.Seconds()}, nil
	}
}

var metric = regexp.MustCompile(`([0-9.e+]+) (\S+)`)

// benchmark returns a probe that runs one benchmark of a test binary: its metrics
// by unit.
func benchmark(bin, name string, n int) func() (map[string]float64, error) {
	return benchmarkIn("", bin, name, n)
}

// benchmarkIn does so in a folder.
func benchmarkIn(dir, bin, name string, n int) func() (map[string]float64, error) {
	return func() (map[string]float64, error) {
		all, err := benchmarks(dir, bin, name, n)
		if err != nil {
			return nil, err
		}
		return all[0], nil
	}
}

// benchmarks runs those of a test binary that a pattern names, with more in the
// environment, and returns the metrics of each in their order: at least one.
func benchmarks(dir, bin, name string, n int, env ...string) ([]map[string]float64, error) {
	cmd := exec.Command(bin, "-test.run=^$", "-test.bench="+name, "-test.benchtime="+strconv.Itoa(n)+"x", "-test.benchmem")
	cmd.Dir = dir
	cmd.Env = append(os.Environ(), env...)
	cmd.Stderr = os.Stderr
	out, err := cmd.Output()
	if err != nil {
		return nil, fmt.Errorf("%s: %w\n%s", name, err, out)
	}
	var all []map[string]float64
	for line := range strings.Lines(string(out)) {
		if strings.HasPrefix(line, "Benchmark") {
			m := map[string]float64{}
			for _, f := range metric.FindAllStringSubmatch(line, -1) {
				if v, err := strconv.ParseFloat(f[1], 64); err == nil {
					m[f[2]] = v
				}
			}
			all = append(all, m)
		}
	}
	if len(all) == 0 {
		return nil, fmt.Errorf("%s: no such benchmark\n%s", name, out)
	}
	return all, nil
}

func copyFile(from, to string) error {
	data, err := os.ReadFile(from)
	if err != nil {
		return err
	}
	if err := os.RemoveAll(to); err != nil {
		return err
	}
	return os.WriteFile(to, data, 0o755)
}
