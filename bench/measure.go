package main

import (
	"bytes"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"text/tabwriter"
	"time"
)

const (
	schedulerItems = 300_000
	pipelineItems  = 200_000
	checkStages    = 1000
)

// command returns the waybill binary, built stripped as a release is.
func (b *bench) command(given string) (string, error) {
	if given != "" {
		return filepath.Abs(given)
	}
	bin := filepath.Join(b.dir, "waybill")
	return bin, goTool("build", "-trimpath", "-ldflags=-s -w", "-o", bin, "./cmd/waybill")
}

// testBinary builds a package's benchmarks.
func (b *bench) testBinary(pkg string) (string, error) {
	bin := filepath.Join(b.dir, strings.ReplaceAll(pkg, "/", "_")+".test")
	return bin, goTool("test", "-c", "-o", bin, "./"+pkg)
}

func goTool(args ...string) error {
	cmd := exec.Command("go", args...)
	cmd.Stderr = os.Stderr
	return cmd.Run()
}

// scheduler compares the scheduler with five plain interface calls.
func (b *bench) scheduler() error {
	bin, err := b.testBinary("runtime/internal/feed")
	if err != nil {
		return err
	}
	floor, control := b.series(), b.series()
	designs := []struct{ name, bench string }{
		{"scheduler, five no-op stages, carriers=1", "^BenchmarkScheduler$/^carriers=1$"},
		{"scheduler, five no-op stages, carriers=8", "^BenchmarkScheduler$/^carriers=8$"},
		{"scheduler, five no-op stages, the last in order, carriers=8", "^BenchmarkOrdered$/^carriers=8$"},
	}
	cost, allocs := make([][]float64, len(designs)), make([][]float64, len(designs))
	for i := range b.rounds {
		for _, into := range [][]float64{floor, control} {
			m, err := benchmark(bin, "^BenchmarkInterfaceCalls$", schedulerItems)
			if err != nil {
				return err
			}
			into[i] = m["cpu-ns/item"]
		}
		for d := range designs {
			m, err := benchmark(bin, designs[d].bench, schedulerItems)
			if err != nil {
				return err
			}
			cost[d] = append(cost[d], m["cpu-ns/item"])
			allocs[d] = append(allocs[d], m["allocs/op"])
		}
	}
	b.add("interface calls, five", median(floor), "ns CPU/item", 0)
	b.ratio("interface calls, five: A/A control", "interface calls, five", control, floor)
	for d := range designs {
		b.add(designs[d].name, median(cost[d]), "ns CPU/item", 150)
		b.add(designs[d].name+": allocations", median(allocs[d]), "allocs/item", 0)
		b.ratio(designs[d].name+": to five calls", "interface calls, five", cost[d], floor)
	}
	return nil
}

// pipeline measures generate -> no-op -> drop through the whole engine.
func (b *bench) pipeline() error {
	bin, err := b.testBinary("runtime")
	if err != nil {
		return err
	}
	a, control := b.series(), b.series()
	for i := range b.rounds {
		for _, into := range [][]float64{a, control} {
			m, err := benchmark(bin, "^BenchmarkPipeline$/^carriers=8$", pipelineItems)
			if err != nil {
				return err
			}
			into[i] = m["items/cpu-s"]
		}
	}
	b.add("generate, no-op, drop", median(a), "items/CPU second", 0)
	b.ratio("generate, no-op, drop: A/A control", "generate, no-op, drop", control, a)
	return nil
}

// start measures the command: cold is the first run of a fresh copy of the
// binary with empty caches of our own, warm the runs after it.
func (b *bench) start() error {
	hello := filepath.Join(b.dir, "hello")
	if err := os.MkdirAll(hello, 0o755); err != nil {
		return err
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
			return err
		}
	}
	cold, warm, control, run := b.series(), b.series(), b.series(), b.series()
	for i := range b.rounds {
		fresh := filepath.Join(b.dir, "fresh")
		if err := copyFile(b.bin, fresh); err != nil {
			return err
		}
		for _, m := range []struct {
			into []float64
			bin  string
			args []string
		}{
			{cold, fresh, []string{"version"}}, {warm, b.bin, []string{"version"}}, {control, b.bin, []string{"version"}},
			{run, b.bin, []string{"run", filepath.Join(hello, "pipeline.yaml"), "--until-empty", "--quiet"}},
		} {
			used, err := used(b.dir, m.bin, m.args...)
			if err != nil {
				return err
			}
			m.into[i] = used.Seconds() * 1000
		}
	}
	b.add("start, cold", median(cold), "ms CPU", 0)
	b.add("start, warm", median(warm), "ms CPU", 20)
	b.ratio("start, warm: A/A control", "start, warm", control, warm)
	b.add("run of examples/hello with one item, warm", median(run), "ms CPU", 0)
	return nil
}

// check measures `waybill check` of a file with a thousand stages.
func (b *bench) check() error {
	var text strings.Builder
	text.WriteString("waybill: v1\nname: long\nstages:\n  - claim: { from: file:people.jsonl }\n")
	for i := range checkStages - 1 {
		fmt.Fprintf(&text, "  - name: step-%d\n    transform: { body: { n: \"${{ item.body.n + %d }}\" } }\n    when: item.body.n > %d\n", i, i, i)
	}
	file := filepath.Join(b.dir, "hello", "long.yaml")
	if err := os.WriteFile(file, []byte(text.String()), 0o644); err != nil {
		return err
	}
	v := b.series()
	for i := range b.rounds {
		d, err := used(b.dir, b.bin, "check", file)
		if err != nil {
			return err
		}
		v[i] = d.Seconds()
	}
	b.add(fmt.Sprintf("check of %d stages", checkStages), median(v), "s CPU", 0.1)
	return nil
}

func (b *bench) series() []float64 { return make([]float64, b.rounds) }

// used runs a command and returns the CPU time that it took.
func used(home, bin string, args ...string) (time.Duration, error) {
	cmd := exec.Command(bin, args...)
	cmd.Env = append(os.Environ(), "XDG_CACHE_HOME="+filepath.Join(home, "cache"))
	var stderr bytes.Buffer
	cmd.Stderr = &stderr
	if err := cmd.Run(); err != nil {
		return 0, fmt.Errorf("%s %s: %w\n%s", filepath.Base(bin), strings.Join(args, " "), err, &stderr)
	}
	return cmd.ProcessState.UserTime() + cmd.ProcessState.SystemTime(), nil
}

var metric = regexp.MustCompile(`([0-9.e+]+) (\S+)`)

// benchmark runs one benchmark of a test binary and returns its metrics by unit.
func benchmark(bin, name string, n int) (map[string]float64, error) {
	cmd := exec.Command(bin, "-test.run=^$", "-test.bench="+name, "-test.benchtime="+strconv.Itoa(n)+"x", "-test.benchmem")
	cmd.Stderr = os.Stderr
	out, err := cmd.Output()
	if err != nil {
		return nil, fmt.Errorf("%s: %w\n%s", name, err, out)
	}
	for line := range strings.Lines(string(out)) {
		if strings.HasPrefix(line, "Benchmark") {
			m := map[string]float64{}
			for _, f := range metric.FindAllStringSubmatch(line, -1) {
				if v, err := strconv.ParseFloat(f[1], 64); err == nil {
					m[f[2]] = v
				}
			}
			return m, nil
		}
	}
	return nil, fmt.Errorf("%s: no such benchmark\n%s", name, out)
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

// print writes the results for people. A value that misses its target is marked.
func (b *bench) print(w io.Writer) {
	tw := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	for _, r := range b.results {
		note := ""
		switch {
		case r.RatioTo != "":
			note = "to: " + r.RatioTo
		case r.Target > 0 && r.Value > r.Target:
			note = fmt.Sprintf("target %g: missed", r.Target)
		case r.Target > 0:
			note = fmt.Sprintf("target %g: met", r.Target)
		}
		fmt.Fprintf(tw, "%s\t%g\t%s\t%s\n", r.Name, r.Value, r.Unit, note)
	}
	tw.Flush()
}
