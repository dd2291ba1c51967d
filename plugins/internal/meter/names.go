package meter

import (
	"fmt"

	"github.com/waybill-dev/waybill/plugins/internal/wasmbin"
)

// names is what the custom section "name" says; see core specification 2.0,
// appendix "name section".
type names struct {
	module string
	funcs  map[uint32]string
}

const (
	namesModule = 0
	namesFuncs  = 1
)

// maxName keeps a name from filling an error's line.
const maxName = 1000

// decode reads the section behind its own name. Names are a help and no part of
// the program, so what cannot be read is left out.
func (n *names) decode(r *wasmbin.Reader) {
	if n.funcs != nil {
		return
	}
	n.funcs = make(map[uint32]string)
	for !r.End() {
		id := r.Byte()
		s := wasmbin.NewReader(r.Bytes(r.U32()), 0)
		switch id {
		case namesModule:
			n.module = s.Name()
		case namesFuncs:
			s.Each(MaxFunctions, func() {
				index, name := s.U32(), s.Name()
				if s.Err() == nil && len(name) <= maxName {
					n.funcs[index] = name
				}
			})
		}
	}
}

// entry is the name of a function.
type entry struct {
	index uint32
	name  string
}

// encode writes the section for the moved functions. A function without a name
// gets its original index as wazero writes it.
func (n *names) encode(imported, own uint32) []byte {
	var entries []entry
	for index := range imported {
		if name, ok := n.funcs[index]; ok {
			entries = append(entries, entry{index, name})
		}
	}
	entries = append(entries, entry{imported, ImportModule + "." + ImportYield})
	for index := imported; index < imported+own; index++ {
		name, ok := n.funcs[index]
		if !ok {
			name = fmt.Sprintf("$%d", index)
		}
		entries = append(entries, entry{index + 1, name})
	}
	return n.section(entries)
}

// plain writes the section for a module with so many functions, which stay where
// they are.
func (n *names) plain(functions uint32) []byte {
	var entries []entry
	for index := range functions {
		if name, ok := n.funcs[index]; ok {
			entries = append(entries, entry{index, name})
		}
	}
	return n.section(entries)
}

// section writes what wazero reads: names of locals are nowhere shown and left
// out.
func (n *names) section(entries []entry) []byte {
	body := wasmbin.AppendName(nil, "name")
	if n.module != "" {
		body = wasmbin.AppendBytes(append(body, namesModule), wasmbin.AppendName(nil, n.module))
	}
	list := wasmbin.AppendU32(nil, uint32(len(entries)))
	for _, e := range entries {
		list = wasmbin.AppendName(wasmbin.AppendU32(list, e.index), e.name)
	}
	return wasmbin.AppendBytes(append(body, namesFuncs), list)
}
