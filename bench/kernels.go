package main

import (
	"fmt"
	"path/filepath"
	"strings"
)

// hostPackage has the benchmarks of kernel calls; they read the kernels that
// they measure relative to their folder.
const hostPackage = "plugins/internal/host"

// kernels compares a record through a k1 kernel, metered and capped, with the
// same work in Go, with wazero called by hand, with wazero's own interruption and
// with Extism's SDK.
func (w *workshop) kernels() ([]probe, error) {
	bin, err := w.testBinary(hostPackage)
	if err != nil {
		return nil, err
	}
	k := kernelBench{bin}
	var probes []probe
	for _, size := range []int{100, 1 << 10, 64 << 10} {
		probes = append(probes, k.extism(size))
		for _, work := range []string{"filter", "map"} {
			probes = append(probes, k.record(work, size)...)
		}
	}
	return probes, nil
}

// kernelBench is the built benchmarks.
type kernelBench struct{ bin string }

func (k kernelBench) run(path string, n int) func() (map[string]float64, error) {
	parts := strings.Split(path, "/")
	return benchmarkIn(filepath.FromSlash(hostPackage), k.bin, "^"+strings.Join(parts, "$/^")+"$", n)
}

func (k kernelBench) probe(path string, n int, f figure) probe {
	f.key, f.unit = "cpu-ns/record", "ns CPU/record"
	return probe{k.run(path, n), []figure{f}}
}

func extismName(size int) string {
	return fmt.Sprintf("Extism's SDK, echo, %s", bytesText(size))
}

func (k kernelBench) extism(size int) probe {
	return k.probe(fmt.Sprintf("BenchmarkExtism/%d", size), 2000, figure{name: extismName(size)})
}

// record is one kind of work on records of one size, alone and in a batch.
func (k kernelBench) record(work string, size int) []probe {
	calls := min(200_000, 200_000_000/size)
	what := work + ", " + bytesText(size)
	at := fmt.Sprintf("%s/%d", work, size)
	out := []probe{k.probe("BenchmarkKernel/go/"+at, calls, figure{name: "native Go, " + what})}
	for _, n := range []int{1, 64} {
		of := fmt.Sprintf("%s, batch %d", what, n)
		path := fmt.Sprintf("%s/batch=%d", at, n)
		turns := max(20, calls/n)
		raw, frame := "raw wazero call, "+of, "the same frames, neither metered nor capped, "+of
		k1 := figure{name: "k1, metered and capped, " + of, target: filterTarget(work, size, n), ratioTo: raw}
		if work == "map" {
			k1.ratioTarget = atMost(1.35)
		}
		contained := k.probe("BenchmarkKernel/k1/"+path, turns, k1)
		contained.figures = append(contained.figures,
			figure{name: k1.name + ", beside its frames", key: "cpu-ns/record", unit: "ns CPU/record", ratioTo: frame, ratioTarget: containment(work, size, n)})
		if n == 1 {
			contained.figures = append(contained.figures,
				figure{name: k1.name + ", beside Extism", key: "cpu-ns/record", unit: "ns CPU/record", ratioTo: extismName(size), ratioTarget: extismTarget(size)})
		}
		out = append(out, k.probe("BenchmarkKernel/raw/"+path, turns, figure{name: raw}),
			k.probe("BenchmarkKernel/frame/"+path, turns, figure{name: frame, ratioTo: raw}), contained,
			k.probe("BenchmarkKernel/ctx-done/"+path, max(20, turns/10), figure{name: "wazero's interruption, " + of, ratioTo: k1.name}),
			k.probe("BenchmarkKernel/fresh/"+path, max(20, turns/20), figure{name: "k1, fresh sandbox per call (C), " + of, target: freshTarget(size, n)}),
			k.probe("BenchmarkKernel/fresh-rust/"+path, max(20, turns/20), figure{name: "k1, fresh sandbox per call (Rust), " + of, target: freshTarget(size, n)}))
	}
	return out
}

func filterTarget(work string, size, n int) *float64 {
	switch {
	case work != "filter" || size != 100:
		return nil
	case n == 1:
		return atMost(60)
	}
	return atMost(16)
}

// containment is what filterTarget is to the same frames, neither metered nor
// capped, on the machine where it was set: they cost 46 and 11 ns there.
func containment(work string, size, n int) *float64 {
	switch {
	case work != "filter" || size != 100:
		return nil
	case n == 1:
		return atMost(1.30)
	}
	return atMost(1.45)
}

func freshTarget(size, n int) *float64 {
	if size > 1<<10 || n > 1 {
		return nil
	}
	return atMost(15_000)
}

func extismTarget(size int) *float64 {
	if size != 1<<10 {
		return nil
	}
	return atMost(1.0 / 500)
}

func bytesText(n int) string {
	if n < 1<<10 {
		return fmt.Sprintf("%d B", n)
	}
	return fmt.Sprintf("%d KiB", n>>10)
}
