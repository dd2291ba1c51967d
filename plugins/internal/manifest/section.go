package manifest

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"

	"github.com/waybill-dev/waybill/plugins/internal/wasmbin"
)

// SectionName is the custom section that holds the manifest.
const SectionName = "k1_meta"

// MaxSize is the largest manifest, in bytes.
const MaxSize = 1 << 20

const (
	sectionCustom = 0
	headerSize    = 8 // magic and version
)

// ErrNotWASM: bytes without the head of a core module.
var ErrNotWASM = errors.New("not a WebAssembly core module")

// Read returns the manifest in a module, nil if it has none. A manifest with
// problems is an Error; bytes that are no module, or one with several
// manifests, another error.
func Read(wasm []byte) (*Manifest, error) {
	raw, err := Section(wasm)
	if raw == nil || err != nil {
		return nil, err
	}
	return Parse(raw)
}

// Section returns the manifest's text as it stands in a module, nil if there is
// none. It is a part of wasm, not a copy.
func Section(wasm []byte) ([]byte, error) {
	found, err := find(wasm)
	switch {
	case err != nil || len(found) == 0:
		return nil, err
	case len(found) > 1:
		return nil, fmt.Errorf("%d sections %s, at bytes %d and %d: one is allowed", len(found), SectionName, found[0].start, found[1].start)
	case len(found[0].content) > MaxSize:
		return nil, fmt.Errorf("the section %s has %d bytes, the limit is %d", SectionName, len(found[0].content), MaxSize)
	}
	return found[0].content, nil
}

// Attach returns the module with the manifest as its last section. Sections
// that it had for one are gone, all other bytes are as they were. The manifest
// must be without problems; white space in it is left out.
func Attach(wasm, raw []byte) ([]byte, error) {
	if _, err := Parse(raw); err != nil {
		return nil, err
	}
	found, err := find(wasm)
	if err != nil {
		return nil, err
	}
	var out []byte
	from := 0
	for _, s := range found {
		out = append(out, wasm[from:s.start]...)
		from = s.end
	}
	out = append(out, wasm[from:]...)
	var compact bytes.Buffer
	if err := json.Compact(&compact, raw); err != nil {
		return nil, err
	}
	body := append(wasmbin.AppendName(nil, SectionName), compact.Bytes()...)
	return wasmbin.AppendBytes(append(out, sectionCustom), body), nil
}

// section is a custom section: where it stands, and what follows its name.
type section struct {
	start, end int
	content    []byte
}

// find lists the sections of a manifest's name.
func find(wasm []byte) ([]section, error) {
	if !bytes.HasPrefix(wasm, []byte("\x00asm\x01\x00\x00\x00")) {
		return nil, ErrNotWASM
	}
	var found []section
	r := wasmbin.NewReader(wasm[headerSize:], headerSize)
	for !r.End() {
		start := r.Offset()
		id, size := r.Byte(), r.U32()
		at := r.Offset()
		body := r.Bytes(size)
		if r.Err() != nil || id != sectionCustom {
			continue
		}
		s := wasmbin.NewReader(body, at)
		name := s.Name()
		if s.Err() != nil {
			return nil, s.Err()
		}
		if name == SectionName {
			found = append(found, section{start, r.Offset(), s.Rest()})
		}
	}
	return found, r.Err()
}
