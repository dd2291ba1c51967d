package host

import (
	"context"
	"errors"
	"fmt"

	"github.com/tetratelabs/wazero"

	"github.com/waybill-dev/waybill/plugins/internal/compiler"
	"github.com/waybill-dev/waybill/plugins/internal/module"
	"github.com/waybill-dev/waybill/plugins/internal/wasi"
)

// compile makes the runtime with everything that a guest may import and loads
// the module into it. What the store of compiled modules does not have is
// compiled first, in a child process where the program allows it.
func (k *Kernel) compile(ctx context.Context, wasm []byte) (err error) {
	if k.Dialect == module.Extism {
		if wasm, err = k.prepareExtism(wasm); err != nil {
			return err
		}
	}
	cfg := wazero.NewRuntimeConfigInterpreter()
	if !k.Interpreter {
		code, failed := compiler.Prepare(ctx, compiler.Job{WASM: wasm, Dir: k.CacheDir, Scratch: k.Dialect == module.Extism, Limits: k.Compile, Log: k.Log})
		if failed != nil {
			return k.uncompiled(failed)
		}
		defer func() { err = errors.Join(err, code.Discard()) }()
		cfg, k.cache = compiler.Config(), code.Cache
	}
	if k.cache != nil {
		cfg = cfg.WithCompilationCache(k.cache)
	}
	if k.Dialect == module.Extism {
		return k.compileExtism(ctx, cfg, wasm)
	}
	k.runtime = wazero.NewRuntimeWithConfig(ctx, cfg)
	for _, instantiate := range []func(context.Context, wazero.Runtime) error{wasi.Instantiate, instantiateImports, instantiateMeter} {
		if err := instantiate(ctx, k.runtime); err != nil {
			return fmt.Errorf("kernel host: %w", err)
		}
	}
	if k.compiled, err = compiler.Compile(ctx, k.runtime, wasm); err != nil {
		return k.uncompiled(&compiler.Refusal{Cause: "does not compile: " + err.Error()})
	}
	return nil
}

// uncompiled makes a Failure of what is the module's fault.
func (k *Kernel) uncompiled(err error) error {
	var refusal *compiler.Refusal
	if !errors.As(err, &refusal) {
		return fmt.Errorf("kernel %s: %w", k.Name, err)
	}
	return &Failure{Code: CodeBad, Kernel: k.Name, Digest: k.Digest, Cause: refusal.Cause, Err: err}
}
