package dir

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	"github.com/waybill-dev/waybill/stages/internal/durable"
)

// moveTo renames a file into a folder, durably. If another is there under its
// name, it gets the beginning of its digest into the name; what is there under
// that one is the same.
func moveTo(path, folder string, v *version) error {
	to := filepath.Join(folder, v.Name)
	switch _, err := os.Lstat(to); {
	case err == nil:
		ext := filepath.Ext(v.Name)
		to = filepath.Join(folder, strings.TrimSuffix(v.Name, ext)+"-"+v.Digest[:shortDigest]+ext)
	case !errors.Is(err, fs.ErrNotExist):
		return err
	}
	if err := os.Rename(path, to); err != nil {
		return err
	}
	return durable.SyncDirs(folder, filepath.Dir(path))
}
