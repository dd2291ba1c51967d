package file

import (
	"context"
	"errors"
	"io/fs"
	"log/slog"
	"path/filepath"
	"strings"

	"github.com/waybill-dev/waybill/pipeline"
)

// Scheme is the URL scheme: "file:items.jsonl".
const Scheme = "file"

// Driver returns the driver of the scheme "file".
func Driver() pipeline.QueueDriver {
	return pipeline.QueueDriver{
		Scheme: Scheme,
		Doc:    "file:PATH, a one-shot input: JSON Lines, CSV or a glob of files",
		Open: func(_ context.Context, url string, o pipeline.QueueOptions) (pipeline.Source, error) {
			s, err := open(url, o)
			if err != nil {
				return nil, err
			}
			return s, nil
		},
	}
}

func open(url string, o pipeline.QueueOptions) (*source, error) {
	if _, err := pipeline.FilePath(url, o.Dir); err != nil {
		return nil, err
	}
	_, path, _ := pipeline.SplitURL(url)
	path = strings.TrimPrefix(path, "//")
	if o.Create {
		return nil, pipeline.Fail("no-queue", "%s is an input to read, not a queue to fill", url).WithHint("sqlite:var/queue.db makes a queue")
	}
	if o.Log == nil {
		o.Log = slog.New(slog.DiscardHandler)
	}
	in := input{url: url, path: path, dir: o.Dir, format: formatOf(path, o.Format)}
	records, err := in.open()
	if err != nil {
		return nil, explain(url, err)
	}
	s := newSource(in, o, records)
	if err := s.openSideFiles(); err != nil {
		_ = s.Close()
		return nil, explain(url, err)
	}
	return s, nil
}

// explain names the input in an error and says what would help.
func explain(url string, err error) error {
	var typed *pipeline.Error
	switch {
	case errors.As(err, &typed):
		return err
	case errors.Is(err, fs.ErrNotExist):
		return pipeline.Fail("no-input", "%s: %w: %w", url, pipeline.ErrNoQueue, err).WithHint("paths are relative to the pipeline file")
	}
	return pipeline.Fail("bad-input", "%s: %w", url, err)
}

// formatOf tells the format by the name unless one was asked for.
func formatOf(path, asked string) string {
	if asked != "" {
		return asked
	}
	if !isGlob(path) {
		switch strings.ToLower(filepath.Ext(path)) {
		case ".jsonl", ".ndjson":
			return "items"
		case ".csv":
			return "csv"
		}
	}
	return "files"
}

func isGlob(path string) bool { return strings.ContainsAny(path, "*?[") }

// resolve returns a path of the pipeline file as one to open.
func resolve(dir, path string) string {
	full, _ := pipeline.FilePath(Scheme+":"+path, dir) // only an empty path has none
	return full
}
