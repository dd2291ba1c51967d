package compiler

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math"
	"os"
	"runtime/debug"
	"sync/atomic"
)

// envChild makes a program that calls Child a compiler: its value is the order.
const envChild = "WAYBILL_COMPILE_KERNEL"

// How a child ends, besides the ways of which it knows nothing. Nothing but a
// child ends with these by accident.
const (
	exitDone    = 110
	exitRefused = 111 // the module does not compile, stdout says why
	exitFailed  = 112 // something else is wrong, stdout says what
)

// maxModule is more than any metered module has: the meter adds some bytes to
// each loop and function of at most 16 MiB.
const maxModule = 64 << 20

// order is what the parent asks of a child; the module itself comes by stdin.
type order struct {
	Folder string
	Limits Limits
}

// canFork tells that Child was called, that is: that this program, started again
// with envChild, compiles and does nothing else. It is a fact about the process,
// set once, before anything is compiled.
var canFork atomic.Bool

// Child must be the first thing that a main does. In a process that a parent
// started in order to compile, it does so and does not return. In any other it
// notes that this program can be started so, and returns.
func Child() {
	text, ok := os.LookupEnv(envChild)
	if !ok {
		canFork.Store(true)
		return
	}
	os.Exit(serve(text, os.Stdin, os.Stdout))
}

// serve carries out one order and returns the exit code.
func serve(text string, stdin io.Reader, stdout io.Writer) int {
	err := carryOut(text, stdin)
	var refusal *Refusal
	switch {
	case err == nil:
		return exitDone
	case errors.As(err, &refusal):
		fmt.Fprint(stdout, refusal.Cause)
		return exitRefused
	}
	fmt.Fprint(stdout, err)
	return exitFailed
}

func carryOut(text string, stdin io.Reader) error {
	var o order
	if err := json.Unmarshal([]byte(text), &o); err != nil {
		return fmt.Errorf("%s: %w", envChild, err)
	}
	if o.Folder == "" || o.Limits.Time <= 0 || o.Limits.Memory == 0 || o.Limits.Memory > math.MaxInt64 {
		return fmt.Errorf("%s: an order without folder or limits", envChild)
	}
	if err := confine(o.Limits); err != nil {
		return err
	}
	// The collector works harder before the limit is reached, not at it.
	debug.SetMemoryLimit(int64(o.Limits.Memory - o.Limits.Memory/8))
	wasm, err := io.ReadAll(io.LimitReader(stdin, maxModule+1))
	if err != nil {
		return err
	}
	if len(wasm) > maxModule {
		return &Refusal{fmt.Sprintf("the metered module has more than %d bytes", maxModule)}
	}
	return compileHere(context.Background(), wasm, o.Folder)
}
