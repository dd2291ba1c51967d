package pipeline

import "github.com/waybill-dev/waybill/pipeline/internal/node"

// DecodeData decodes a file that is data and no pipeline, such as a recording:
// as strictly as a pipeline, but what looks like a reference or an expression in
// it is text.
func DecodeData(file string, src []byte, v any) Problems {
	doc := node.ParseData(file, src)
	if root := doc.Root(); root != nil {
		root.Decode(v)
	}
	return doc.Problems()
}

// Importer turns a recording of a browser into steps in YAML. Unless keep is set,
// passwords that were typed become ${env:...}; notes say which, and what else the
// reader should look at.
type Importer func(file string, src []byte, keep bool) (steps []byte, notes []string, problems Problems)
