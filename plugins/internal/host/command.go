package host

import (
	"bytes"
	"context"
	"errors"

	"github.com/tetratelabs/wazero/sys"
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

// RunCommand runs a WASI command in a fresh instance: input is its stdin, the
// output its stdout, stderr the last of its stderr. Exit code 0 is success.
func (k *Kernel) RunCommand(ctx context.Context, input []byte, now, seed uint64) (output []byte, stderr string, err error) {
	s, err := k.open(ctx)
	if err != nil {
		return nil, "", err
	}
	defer s.close()
	out := &sink{limit: k.Limits.Output}
	s.world.Stdin, s.world.Stdout = bytes.NewReader(input), out
	s.world.Set(now, seed)
	_, err = s.call(ctx, k.Limits.Timeout, s.module.ExportedFunction("_start"))
	if out.full {
		return nil, s.stderr.tail(), s.fail(CodeOutput, "wrote more than %d bytes to stdout", k.Limits.Output)
	}
	var exit *sys.ExitError
	if err != nil && !(errors.As(err, &exit) && exit.ExitCode() == 0) {
		return nil, s.stderr.tail(), err
	}
	return out.Bytes(), s.stderr.tail(), nil
}
