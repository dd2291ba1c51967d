package local

import (
	"cmp"
	"io"
	"log/slog"
	"os"
	"path/filepath"
	"strings"

	"github.com/waybill-dev/waybill/pipeline"
)

// MaxFile bounds the content of one file: bodies are held in memory.
const MaxFile = 64 << 20

// FileRecord is the record of a file, without its content. Name is how the
// pipeline calls it.
func FileRecord(path, name string) *Record {
	it := pipeline.NewItem{Meta: map[string]string{"name": filepath.Base(path), "path": name}}
	return &Record{Item: it, Where: name}
}

// ReadFile returns a file's content, or an error with the code body-too-large.
func ReadFile(path string) ([]byte, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	large := pipeline.Fail("body-too-large", "%s has more than %d bytes", path, MaxFile)
	if info, err := f.Stat(); err != nil || info.Size() > MaxFile {
		return nil, cmp.Or(err, error(large))
	}
	data, err := io.ReadAll(io.LimitReader(f, MaxFile+1))
	if err == nil && len(data) > MaxFile { // it has grown
		return nil, large
	}
	return data, err
}

// MediaType tells the media type of a file by its name, or nothing: others are
// found out from the content when somebody asks. The table is our own because
// that of package mime depends on the machine, and the media type is part of
// what a receipt says.
func MediaType(path string) string {
	switch strings.ToLower(filepath.Ext(path)) {
	case ".html", ".htm":
		return "text/html; charset=utf-8"
	case ".json":
		return pipeline.MediaJSON
	case ".txt":
		return pipeline.MediaText
	case ".md":
		return "text/markdown; charset=utf-8"
	case ".csv":
		return "text/csv; charset=utf-8"
	case ".xml":
		return "application/xml"
	case ".svg":
		return "image/svg+xml"
	case ".png":
		return "image/png"
	case ".jpg", ".jpeg":
		return "image/jpeg"
	case ".gif":
		return "image/gif"
	case ".webp":
		return "image/webp"
	case ".pdf":
		return "application/pdf"
	case ".wasm":
		return "application/wasm"
	}
	return ""
}

// Resolve returns a path of the pipeline file as one to open.
func Resolve(dir, path string) string {
	if filepath.IsAbs(path) {
		return path
	}
	return filepath.Join(dir, path)
}

// Defaults fills in what no caller need say.
func Defaults(o pipeline.QueueOptions) pipeline.QueueOptions {
	if o.Log == nil {
		o.Log = slog.New(slog.DiscardHandler)
	}
	return o
}
