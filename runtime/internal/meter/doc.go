// Package meter counts and times what the engine does, in atomics that anybody
// may read at any time: a log-linear histogram of bounded error, and one Stage
// per stage. It knows nothing of exporters; telemetry and statistics read it.
package meter
