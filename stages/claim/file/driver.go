package file

import (
	"context"
	"errors"
	"io/fs"
	"path/filepath"
	"slices"
	"strings"

	"github.com/waybill-dev/waybill/pipeline"
	"github.com/waybill-dev/waybill/stages/claim/internal/local"
)

// Scheme is the URL scheme: "file:items.jsonl".
const Scheme = "file"

// Driver returns the driver of the scheme "file".
func Driver() pipeline.QueueDriver {
	return pipeline.QueueDriver{
		Scheme: Scheme,
		Doc:    "file:PATH, a one-shot input: JSON Lines, CSV or a glob of files",
		Takes:  []string{"format", "checkpoint"},
		Check: func(url string, o pipeline.QueueOptions) error {
			_, err := parse(url, o)
			return err
		},
		Open: func(_ context.Context, url string, o pipeline.QueueOptions) (pipeline.Source, error) {
			s, err := open(url, o)
			if err != nil {
				return nil, err
			}
			return s, nil
		},
	}
}

// parse reads the URL and the options and opens nothing.
func parse(url string, o pipeline.QueueOptions) (input, error) {
	if _, err := pipeline.FilePath(url, o.Dir); err != nil {
		return input{}, err
	}
	_, path, _ := pipeline.SplitURL(url)
	path = strings.TrimPrefix(path, "//")
	in := input{url: url, path: path, dir: o.Dir, format: formatOf(path, o.Format)}
	if !slices.Contains([]string{local.FormatItems, local.FormatJSONL, local.FormatLines, "csv", "files"}, in.format) {
		return input{}, badFormat(url, in.format)
	}
	return in, local.NoQueue(url, o)
}

func badFormat(url, format string) error {
	return pipeline.Fail("bad-format", "%s: unknown format %q", url, format).WithHint("items, jsonl, lines, csv or files")
}

func open(url string, o pipeline.QueueOptions) (*local.Source, error) {
	in, err := parse(url, o)
	if err != nil {
		return nil, err
	}
	records, err := in.open()
	if err != nil {
		return nil, explain(url, err)
	}
	s, err := newSource(in, o, records)
	if err != nil {
		return nil, explain(url, errors.Join(err, records.Close()))
	}
	return s, nil
}

// newSource opens the checkpoint, and names the dead letters.
func newSource(in input, o pipeline.QueueOptions, r *records) (*local.Source, error) {
	o = local.Defaults(o)
	c := local.Config{URL: in.url, Options: o, Records: r, OnePass: true, Letters: local.NewLetters(deadPath(in, o.Checkpoint), o.Log)}
	if o.Checkpoint != "" {
		j, err := local.OpenJournal(resolve(in.dir, o.Checkpoint), in.url, in.format)
		if err != nil {
			return nil, err
		}
		c.Journal = j
	}
	return local.New(c), nil
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

// deadPath stands beside the checkpoint or else beside the input; for a glob
// beside the folder that it begins with.
func deadPath(in input, checkpoint string) string {
	if checkpoint != "" {
		return resolve(in.dir, checkpoint) + ".dead.jsonl"
	}
	path := in.path
	for isGlob(path) {
		path = filepath.Dir(path)
	}
	if path == "." || path == string(filepath.Separator) {
		path = filepath.Join(path, "input")
	}
	return resolve(in.dir, path) + ".dead.jsonl"
}

// resolve returns a path of the pipeline file as one to open.
func resolve(dir, path string) string {
	full, _ := pipeline.FilePath(Scheme+":"+path, dir) // only an empty path has none
	return full
}
