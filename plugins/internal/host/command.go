package host

import (
	"bytes"
	"context"
	"errors"

	"github.com/tetratelabs/wazero/sys"

	"github.com/waybill-dev/waybill/pipeline"
)

// errOutput makes the guest's write fail; the call is judged afterwards.
var errOutput = errors.New("output limit reached")

// sink collects stdout up to a limit.
type sink struct {
	bytes.Buffer
	limit uint64
	full  bool
}

// Write refuses what goes beyond the limit.
func (s *sink) Write(p []byte) (int, error) {
	if uint64(s.Len())+uint64(len(p)) > s.limit {
		s.full = true
		return 0, errOutput
	}
	return s.Buffer.Write(p)
}

// CommandResult is what a WASI command did: its stdout, the last of its stderr,
// its fuel.
type CommandResult struct {
	Output []byte
	Stderr string
	Fuel   int64
}

// command returns an instance that has run nothing but its start section: a new
// one, or one that was put back to that state.
func (k *Kernel) command(ctx context.Context) (*session, error) {
	var err error
	s, ok := k.idle.take()
	if ok {
		err = s.restore(k.image)
	} else if s, err = k.open(ctx); err != nil {
		return nil, err
	} else if err = s.settle(nil); err == nil && k.fixed == "" {
		err = k.keepFirst(s)
	}
	if err != nil {
		s.close()
		return nil, err
	}
	return s, nil
}

// keepFirst takes the image of the first instance.
func (k *Kernel) keepFirst(s *session) (err error) {
	k.starting.Lock()
	defer k.starting.Unlock()
	if k.image == nil {
		k.image, err = s.snapshot()
	}
	return err
}

// release keeps an instance that can be put back, and closes others.
func (k *Kernel) release(s *session) {
	s.world.Stdin, s.world.Stdout = nil, nil
	if !s.restorable(k.image) {
		s.close()
		return
	}
	k.idle.give(s)
}

// RunCommand runs a WASI command in an instance as good as new: input is its
// stdin; payer, which may be nil, has the budget. Exit code 0 is success. Stderr and Fuel of
// the result count in case of an error too.
func (k *Kernel) RunCommand(ctx context.Context, input []byte, now, seed uint64, payer *pipeline.Budget) (CommandResult, error) {
	s, err := k.command(ctx)
	if err != nil {
		return CommandResult{}, err
	}
	defer k.release(s)
	out := &sink{limit: k.Limits.Output}
	s.world.Stdin, s.world.Stdout = bytes.NewReader(input), out
	s.world.Set(now, seed)
	s.begin(ctx, k.Limits.Timeout, k.Limits.Fuel, []*pipeline.Budget{payer})
	_, err = s.call(s.module.ExportedFunction("_start"))
	var exit *sys.ExitError
	if errors.As(err, &exit) && exit.ExitCode() == 0 {
		err = nil
	}
	err = s.settle(err)
	result := CommandResult{Stderr: s.stderr.tail(), Fuel: s.spent}
	switch {
	case out.full:
		return result, s.fail(CodeOutput, "wrote more than %d bytes to stdout", k.Limits.Output)
	case err != nil:
		return result, err
	}
	result.Output = out.Bytes()
	return result, nil
}
