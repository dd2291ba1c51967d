// Package wasi is a deterministic WASI preview 1 for kernels. It gives language
// runtimes what they need to start and nothing else: arguments, environment and
// stdin as configured, stdout and stderr into memory, a clock that stands still
// at the time of the frame, randomness from the frame's seed. There are no
// files, no sockets and no other time; every other call answers ENOSYS.
//
// The functions find their World in the call's context (see Key), so one host
// module serves all instances of a runtime.
package wasi

import (
	"context"
	"encoding/binary"
	"io"
)

// Key is the context key of the *World of the running instance.
type Key struct{}

func worldOf(ctx context.Context) *World {
	w, _ := ctx.Value(Key{}).(*World)
	return w
}

// World is what one instance sees of the outside. It belongs to the instance's
// caller and is not used by two calls at the same time.
type World struct {
	// Args and Env are what the program was started with; Env is NAME=value.
	Args, Env []string
	// Stdin may be nil: empty.
	Stdin io.Reader
	// Stdout and Stderr take what the program writes; an error of Write is
	// the program's EIO.
	Stdout, Stderr io.Writer
	// Charge, if set, pays for the work of a function in units of fuel; it
	// panics to stop the program.
	Charge func(units int64)

	now   uint64 // nanoseconds since 1970
	slept uint64 // nanoseconds that the program slept since Set
	rng   uint64
}

// monotonicStart is the monotonic clock at the start of each frame. It is not
// zero, because some runtimes take zero for "no clock".
const monotonicStart = 1_000_000_000

// Set moves the world to a frame: the clock to nowNanos (since 1970), the
// random stream to its start for seed.
func (w *World) Set(nowNanos, seed uint64) { w.now, w.slept, w.rng = nowNanos, 0, seed }

func (w *World) realtime() uint64  { return w.now + w.slept }
func (w *World) monotonic() uint64 { return monotonicStart + w.slept }

// callUnits is what a call costs, however little it does.
const callUnits = 64

// pay charges for work on so many bytes.
func (w *World) pay(n int) {
	if w.Charge != nil {
		w.Charge(callUnits + int64(n/8))
	}
}

// random fills b with the SplitMix64 stream of the seed, each number in
// little-endian order. It is not secret and not meant to be.
func (w *World) random(b []byte) {
	var word [8]byte
	for len(b) > 0 {
		w.rng += 0x9e3779b97f4a7c15
		z := w.rng
		z = (z ^ z>>30) * 0xbf58476d1ce4e5b9
		z = (z ^ z>>27) * 0x94d049bb133111eb
		binary.LittleEndian.PutUint64(word[:], z^z>>31)
		b = b[copy(b, word[:]):]
	}
}
