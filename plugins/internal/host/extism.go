package host

import (
	"context"
	"fmt"

	extism "github.com/extism/go-sdk"
	"github.com/tetratelabs/wazero"
	"github.com/tetratelabs/wazero/api"
	"github.com/tetratelabs/wazero/experimental"

	"github.com/waybill-dev/waybill/plugins/internal/capability"
	"github.com/waybill-dev/waybill/plugins/internal/compiler"
	"github.com/waybill-dev/waybill/plugins/internal/meter"
	"github.com/waybill-dev/waybill/plugins/internal/module"
)

// Extism says what to do with an Extism plug-in.
type Extism struct {
	// Function is the export to call; empty means the only one.
	Function string
	// Config is what the plug-in reads with config_get.
	Config map[string]string
}

// Import modules under which a plug-in gets our functions instead of Extism's
// and of wazero's WASI, which the SDK insists on having under their own names.
const (
	extismEnv  = "waybill:extism"
	extismWASI = "waybill:wasi"
)

// extismMemory is the memory with which Extism's kernel starts, besides that of
// the plug-in.
const extismMemory = 16 * module.PageSize

// extismFindings lists what keeps a plug-in from running.
func extismFindings(m *module.Module, memory uint64) []Finding {
	var found []Finding
	if m.MemoryMin <= memory && m.MemoryMin+extismMemory > memory {
		found = append(found, Finding{CodeMemory, fmt.Sprintf("needs %d bytes of memory to start, %d of them for its input and output, the limit is %d",
			m.MemoryMin+extismMemory, extismMemory, memory), "raise limits.memory"})
	}
	return found
}

// prepareExtism finds the function to call and gives the imports of a metered
// plug-in the names under which the SDK can be given our functions.
func (k *Kernel) prepareExtism(wasm []byte) ([]byte, error) {
	bad := func(code, cause string) error {
		return &Failure{Code: code, Kernel: k.Name, Digest: k.Digest, Cause: cause}
	}
	m, err := module.Parse(wasm)
	if err != nil {
		return nil, bad(CodeBad, err.Error())
	}
	if k.Extism.Function, err = m.ExtismFunction(k.Extism.Function); err != nil {
		return nil, bad(CodeExports, err.Error())
	}
	if k.State == Lane {
		return nil, bad(CodeBad, "an Extism plug-in cannot keep state for a lane: each item gets a fresh instance")
	}
	if m.WantsHTTP() && !k.Grants.Has(capability.NameHTTP) {
		return nil, bad(CodeExports, "it imports http_request, and http is not granted")
	}
	wasm, err = module.RenameImports(wasm, map[string]string{module.ImportExtism: extismEnv, module.ImportWASI: extismWASI})
	if err != nil {
		return nil, bad(CodeBad, err.Error())
	}
	return wasm, nil
}

// compileExtism loads a prepared plug-in into a runtime of Extism's SDK.
func (k *Kernel) compileExtism(ctx context.Context, cfg wazero.RuntimeConfig, wasm []byte) (err error) {
	defer func() {
		if p := recover(); p != nil { // the SDK's MustInstantiate, or the compiler
			err = k.uncompiled(&compiler.Refusal{Cause: fmt.Sprintf("Extism's SDK panicked: %v", p)})
		}
	}()
	c := &extismCompile{Context: ctx, wasm: wasm}
	c.hostFunctions = experimental.WithFunctionListenerFactory(ctx, experimental.FunctionListenerFactoryFunc(listenToYield))
	k.plugin, err = extism.NewCompiledPlugin(c, extism.Manifest{Wasm: []extism.Wasm{c}},
		extism.PluginConfig{RuntimeConfig: cfg, EnableWasi: true}, extismHostFunctions())
	if err != nil {
		return k.uncompiled(&compiler.Refusal{Cause: "does not compile: " + err.Error()})
	}
	return nil
}

// extismCompile is the context in which the SDK compiles, and the plug-in that
// it asks for after it has made the host modules.
//
// The SDK's host functions are not told which instance calls them. wazero tells
// it to listeners: so the one host function that every metered guest calls
// first, yield, gets a listener. The plug-in must be compiled without any, for
// else the compiler would look for it under another name in the cache.
type extismCompile struct {
	context.Context
	hostFunctions context.Context // with the listener
	wasm          []byte
	guest         bool // the host modules are made
}

// Value answers for the context of what is being compiled.
func (c *extismCompile) Value(key any) any {
	if c.guest {
		return c.Context.Value(key)
	}
	return c.hostFunctions.Value(key)
}

// ToWasmData hands out the plug-in.
func (c *extismCompile) ToWasmData(context.Context) (extism.WasmData, error) {
	c.guest = true
	return extism.WasmData{Data: c.wasm, Name: "main"}, nil
}

// listenToYield gives the host function yield a listener that finds the
// instance's counter of fuel.
func listenToYield(f api.FunctionDefinition) experimental.FunctionListener {
	if f.ModuleName() != meter.ImportModule {
		return nil
	}
	return experimental.FunctionListenerFunc(func(ctx context.Context, m api.Module, _ api.FunctionDefinition, _ []uint64, _ experimental.StackIterator) {
		if s, ok := ctx.Value(sessionKey{}).(*session); ok && s.module == nil {
			s.module = m
			s.tank.counter = m.ExportedGlobal(meter.ExportFuel).(api.MutableGlobal)
		}
	})
}
