// Package plugins is the stage "kernel": it runs a WebAssembly module over the
// items of a pipeline.
//
// What comes in: an item, of which the kernel sees the body (or one artifact),
// the key, the metadata and nothing else. What goes out: a new body or
// artifact, several items, a skipped item, or a typed failure. A kernel can
// reach no file, no network, no clock and no randomness but those made from the
// item, and what the pipeline grants it; it cannot outgrow its memory, use more
// than its fuel, run past its time limit or answer with more than its output
// limit; whatever it does, the process and the other items go on.
//
// Three dialects run: k1 (spec/kernel-abi.md; SDKs in plugins/sdk), WASI preview 1
// commands (stdin to stdout) and Extism plug-ins, these two with an instance for
// each item that is as good as new. The file is checked without compiling it by
// `check`, compiled once at the start of a run (and kept in the cache folder), and
// has one instance per carrier.
//
//   - config.go, validate.go: the stage's configuration and its problems
//   - grant.go, secret.go: the capabilities in a pipeline file; capabilities.go:
//     what they come to; wants.go: what the kernel's manifest says against them
//   - fetch.go: the module that `use` names: a file, or content by digest from the
//     cache or a registry
//   - stage.go, item.go: items to records, operations to items
//   - run.go, replay.go: `waybill kernel run`; tools.go, tool_*.go: the other
//     commands about kernels
//   - internal/module: reads a binary; internal/meter: makes it count its work;
//     internal/manifest: what a kernel says about itself; internal/capability:
//     what it may reach; internal/k1: the frames; internal/wasi: the deterministic WASI;
//     internal/host: wazero, instances, limits, failures; internal/scaffold,
//     internal/toolchain: new projects and their compilers; internal/samples:
//     records with known answers; internal/oci: registries, pins, the cache
//
// It must not know the engine, the command line or other stages.
package plugins
