package kernel

import "errors"

// module is the one kernel of this WebAssembly module. It is a global because a
// module's exports are.
var module struct {
	factory Factory
	handler Handler
	batch   batch
	buffer  []byte
}

// Serve sets the kernel of this module. Call it once, from init: see the
// package comment for why main is too late.
func Serve(f Factory) {
	if module.factory != nil {
		panic("kernel.Serve was called twice: a module has one kernel")
	}
	module.factory = f
}

// Codes of negative answers.
const (
	codeNoKernel = -1 // Serve was not called
	codeConfig   = -2 // the factory refused the configuration
	codeFrame    = -3 // the input frame is damaged
)

func configure(config []byte) int64 {
	if module.factory == nil {
		hostFail(codeNoKernel, "kernel.Serve was not called from an init function")
		return codeNoKernel
	}
	h, err := module.factory(config)
	if err == nil && h == nil {
		err = errors.New("the factory made no handler")
	}
	if err != nil {
		hostFail(codeConfig, err.Error())
		return codeConfig
	}
	module.handler = h
	return 0
}

func runBatch(frame []byte) ([]byte, int64) {
	if module.handler == nil {
		hostFail(codeNoKernel, "k1_run before k1_init")
		return nil, codeNoKernel
	}
	out, err := module.batch.handle(module.handler, frame)
	if err != nil {
		hostFail(codeFrame, err.Error())
		return nil, codeFrame
	}
	return out, 0
}

// Level is the importance of a log message.
type Level uint32

const (
	Debug Level = 0
	Info  Level = 1
	Warn  Level = 2
	Error Level = 3
)

// Log writes a message to the log of the run. The host bounds how much one call
// may write. In a native build it goes to stderr.
func Log(level Level, message string) { hostLog(level, message) }

// Count adds to counter id, 0 to 63; the run logs the sums at its end.
func Count(id uint32, delta int64) { hostCounter(id, delta) }
