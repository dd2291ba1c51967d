package module

import "github.com/waybill-dev/waybill/plugins/internal/wasmbin"

// reader adds what a module's head is made of.
type reader struct{ *wasmbin.Reader }

// each reads a vector of at most MaxEntries.
func (r reader) each(entry func()) { r.Each(MaxEntries, entry) }

func (r reader) funcType() Sig {
	if c := r.Byte(); c != 0x60 && r.Err() == nil {
		r.Fail("type form 0x%02x is not supported", c)
	}
	params := r.Bytes(r.U32())
	results := r.Bytes(r.U32())
	return MakeSig(params, results)
}
