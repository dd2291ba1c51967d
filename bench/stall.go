package main

// stall compares how long a guest that computes for a second holds others: a
// goroutine that wants to run every millisecond, and the garbage collector. The
// promise is about the CPU time that passes meanwhile, which is the same on a
// busy machine; wall time stands beside it.
func (w *workshop) stall() ([]probe, error) {
	bin, err := w.testBinary("plugins/internal/host")
	if err != nil {
		return nil, err
	}
	figures := func(of string, target *float64, floor string) []figure {
		var all []figure
		for _, f := range []struct {
			what, key, unit string
			promised        bool
		}{
			{"goroutine held by ", "cpu-ms-goroutine", "ms CPU", true},
			{"collector held by ", "cpu-ms-gc", "ms CPU", true},
			{"goroutine held by ", "ms-goroutine", "ms wall", false},
			{"collector held by ", "ms-gc", "ms wall", false},
		} {
			one := figure{name: f.what + of + ", " + f.unit, key: f.key, unit: f.unit}
			if f.promised {
				one.target = target
			}
			if floor != "" {
				one.ratioTo = f.what + floor + ", " + f.unit
			}
			all = append(all, one)
		}
		return all
	}
	const plain, native, metered = "a guest of plain wazero", "a loop in Go", "a kernel"
	return []probe{
		{benchmark(bin, "^BenchmarkStall$/^plain$", 1), figures(plain, nil, "")},
		{benchmark(bin, "^BenchmarkStall$/^go$", 1), figures(native, nil, "")},
		{benchmark(bin, "^BenchmarkStall$/^metered$", 1), figures(metered, atMost(20), plain)},
	}, nil
}
