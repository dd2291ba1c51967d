package plugins

import (
	"fmt"

	"github.com/waybill-dev/waybill/pipeline"
	"github.com/waybill-dev/waybill/plugins/internal/manifest"
	"github.com/waybill-dev/waybill/plugins/internal/meter"
	"github.com/waybill-dev/waybill/plugins/internal/module"
)

// Inspect says what a module is made of.
func (Tools) Inspect(path string) (pipeline.KernelInfo, error) {
	s, err := openSubject(pipeline.KernelTarget{Path: path})
	if err != nil {
		return pipeline.KernelInfo{}, err
	}
	report := s.report()
	k := pipeline.KernelInfo{File: s.file, Digest: s.digest, Size: int64(len(s.wasm)), Dialect: report.Dialect, Wants: report.Wants,
		Problems: report.Problems, Imports: []string{}, Exports: []string{}}
	if len(s.problems) == 0 {
		k.Manifest, _ = manifest.Section(s.wasm) // it was read before
	}
	if m, err := module.Parse(s.wasm); err == nil {
		k.MemoryMin, k.MemoryMax = m.MemoryMin, m.MemoryMax
		describeBorder(&k, m)
	}
	if u, err := meter.Measure(s.wasm); err == nil {
		k.Functions, k.Biggest, k.Caps = u.Own, biggest(u.Biggest), shape(u.Caps)
	}
	return k, nil
}

// describeBorder lists imports and exports with their signatures.
func describeBorder(k *pipeline.KernelInfo, m *module.Module) {
	for _, i := range m.Imports {
		k.Imports = append(k.Imports, describe(i.Module+"."+i.Name, i.Kind, i.Sig))
	}
	for _, e := range m.Exports {
		k.Exports = append(k.Exports, describe(e.Name, e.Kind, e.Sig))
	}
}

func describe(name string, kind module.Kind, sig module.Sig) string {
	if kind == module.Func {
		return name + " " + string(sig)
	}
	return fmt.Sprintf("%s: %s", name, kind)
}

func biggest(f meter.Function) string {
	switch {
	case f.Index < 0:
		return ""
	case f.Name == "":
		return fmt.Sprintf("function %d, %d bytes", f.Index, f.Bytes)
	}
	return fmt.Sprintf("function %d %s, %d bytes", f.Index, f.Name, f.Bytes)
}

// shape compares what a module uses with what it may.
func shape(used meter.Caps) []pipeline.KernelCap {
	most := meter.DefaultCaps()
	return []pipeline.KernelCap{
		{Name: "bytes", Used: used.Size, Limit: most.Size},
		{Name: "functions", Used: used.Functions, Limit: most.Functions},
		{Name: "bytes of one function", Used: used.Body, Limit: most.Body},
		{Name: "nested blocks", Used: used.Nesting, Limit: most.Nesting},
		{Name: "entries of one br_table", Used: used.BrTable, Limit: most.BrTable},
		{Name: "blocks and branches of one function", Used: used.Control, Limit: most.Control},
		{Name: "locals of one function", Used: used.Locals, Limit: most.Locals},
		{Name: "tables", Used: used.Tables, Limit: most.Tables},
		{Name: "entries of one table", Used: used.TableEntries, Limit: most.TableEntries},
	}
}
