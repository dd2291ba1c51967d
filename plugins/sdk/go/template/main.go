// A kernel that passes on the lines of a text that contain a word, and drops
// texts without any.
package main

import (
	"bytes"
	"errors"

	kernel "github.com/waybill-dev/waybill/plugins/sdk/go"
)

// A reactor's main never runs, so init says what this module serves.
func init() { kernel.Serve(newFilter) }

func main() {}

type filter struct{ word []byte }

// newFilter reads `with` of the pipeline file, which has the schema in
// kernel.json.
func newFilter(config []byte) (kernel.Handler, error) {
	with, err := kernel.Strings(config)
	if err != nil {
		return nil, err
	}
	if with["word"] == "" {
		return nil, errors.New("word is empty")
	}
	return filter{[]byte(with["word"])}, nil
}

// Handle is called once for each record.
func (f filter) Handle(r *kernel.Record) error {
	var found []byte
	for line := range bytes.Lines(r.Value()) {
		if bytes.Contains(line, f.word) {
			found = append(found, line...)
		}
	}
	if len(found) > 0 {
		r.Put(found)
	}
	return nil
}
