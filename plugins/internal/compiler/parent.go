package compiler

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os/exec"
	"regexp"
	"runtime"
	"strings"
	"time"
)

// saidKept is how much of what a child says is read.
const saidKept = 4 << 10

// compileApart compiles a module into a folder, in a child process that is gone
// when it returns: it exited, or it was killed at the deadline or at the end of
// ctx. The child gets the module by stdin; it has no other file, an environment
// with nothing but the order, and a process group of its own.
func compileApart(ctx context.Context, j Job, folder string) error {
	limits := j.Limits
	if limits == (Limits{}) {
		limits = DefaultLimits()
	}
	text, err := json.Marshal(order{folder, limits})
	if err != nil {
		return err
	}
	program, err := self()
	if err != nil {
		return fmt.Errorf("kernel compiler: %w", err)
	}
	timed, cancel := context.WithTimeout(ctx, limits.Time)
	defer cancel()
	said, trace := &head{size: saidKept}, &head{size: saidKept}
	cmd := exec.CommandContext(timed, program)
	cmd.Args = []string{"waybill-compile-kernel"}
	cmd.Env = []string{envChild + "=" + string(text)}
	cmd.Dir = folder
	cmd.Stdin, cmd.Stdout, cmd.Stderr = bytes.NewReader(j.WASM), said, trace
	cmd.WaitDelay = time.Second
	apart(cmd)
	// Where a child dies with its parent, it does so when the thread ends that
	// started it: no other goroutine may have this one until then.
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	return judge(ctx, timed, cmd.Run(), limits, string(said.text), string(trace.text))
}

// outOfMemory is what Go's runtime says, or the race detector's.
var outOfMemory = regexp.MustCompile(`out of memory|cannot allocate memory|failed to allocate`)

// judge says what a child's end means.
func judge(ctx, timed context.Context, err error, limits Limits, said, trace string) error {
	if err == nil {
		err = errors.New("exit status 0, which is no compiler's")
	}
	var exit *exec.ExitError
	tooMuch := func(why string) error {
		return &Refusal{fmt.Sprintf("does not compile within %s: %s", limits, why)}
	}
	switch {
	case errors.As(err, &exit) && exit.ExitCode() == exitDone:
		return nil
	case ctx.Err() != nil:
		return fmt.Errorf("kernel compiler: %w", ctx.Err())
	case timed.Err() != nil:
		return tooMuch("ran out of time")
	case exit == nil:
		return fmt.Errorf("kernel compiler: %w", err)
	case exit.ExitCode() == exitRefused:
		return &Refusal{said}
	case exit.ExitCode() == exitFailed:
		return fmt.Errorf("kernel compiler: %s", said)
	case outOfMemory.MatchString(trace):
		return tooMuch("ran out of memory")
	case exit.ExitCode() < 0: // a signal: the limit of CPU time, or the system's own lack of memory
		return tooMuch(exit.String())
	}
	first, _, _ := strings.Cut(trace, "\n")
	return fmt.Errorf("kernel compiler: %w: %s", err, first)
}
