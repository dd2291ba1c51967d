package pipeline

import "time"

// Duration is a length of time in a config: 500ms, 30s, 2m, 1h30m.
type Duration time.Duration

// D returns the standard library's type.
func (d Duration) D() time.Duration { return time.Duration(d) }

// Bytes is a size in a config: 512, 64KiB, 32MiB, 1GiB, 10MB.
type Bytes int64

// Count is a number with an optional decimal suffix in a config: 200, 10k,
// 200M, 2G.
type Count int64

// Range is two durations in a config: 500ms..30s.
type Range struct{ Min, Max Duration }
