package compiler

import (
	"errors"
	"os"

	"github.com/tetratelabs/wazero"
)

// scratch returns the code of a folder of the store from a copy that ends with
// the load. A runtime writes whatever it compiles into the folder that it loads
// from; one that compiles more than the module would make the store's own
// folder fail its check.
func scratch(folder string) (*Code, error) {
	draft, err := os.MkdirTemp("", "waybill-compile-")
	if err != nil {
		return nil, err
	}
	if err := os.CopyFS(draft, os.DirFS(folder)); err != nil {
		return nil, errors.Join(err, os.RemoveAll(draft))
	}
	cache, err := wazero.NewCompilationCacheWithDir(draft)
	return &Code{Cache: cache, draft: draft}, err
}
