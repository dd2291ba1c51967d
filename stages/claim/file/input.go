package file

import (
	"encoding/csv"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"iter"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/waybill-dev/waybill/pipeline"
	"github.com/waybill-dev/waybill/stages/claim/internal/local"
)

// input is what a URL names.
type input struct {
	url, path, dir, format string
}

// records is the sequence of an input's records. An error is its last element.
type records struct {
	next   func() (*local.Record, error, bool)
	stop   func()
	close  func() error
	broken error // the input cannot be read on
}

var _ local.Records = (*records)(nil)

func (r *records) Next() (*local.Record, error) {
	if r.broken != nil {
		return nil, r.broken
	}
	rec, err, ok := r.next()
	if !ok {
		return nil, io.EOF
	}
	r.broken = err
	return rec, err
}

// Coming is 1: a one-shot input is not counted ahead.
func (r *records) Coming() (int64, time.Time) { return 1, time.Time{} }

func (r *records) Close() error {
	r.stop()
	return r.close()
}

// open checks what can be checked at once and returns the records.
func (in input) open() (*records, error) {
	if in.format == "files" {
		return in.openFiles()
	}
	f, err := os.Open(resolve(in.dir, in.path))
	if err != nil {
		return nil, err
	}
	var seq iter.Seq2[*local.Record, error]
	switch in.format {
	case local.FormatItems, local.FormatJSONL, local.FormatLines:
		seq = local.Lines(f, in.name(), in.format)
	case "csv":
		seq, err = in.csv(f)
	default:
		err = badFormat(in.url, in.format)
	}
	if err != nil {
		_ = f.Close()
		return nil, err
	}
	return newRecords(in.url, seq, f.Close), nil
}

func (in input) name() string { return filepath.Base(in.path) }

func newRecords(url string, seq iter.Seq2[*local.Record, error], closing func() error) *records {
	next, stop := iter.Pull2(seq)
	return &records{stop: stop, close: closing, next: func() (*local.Record, error, bool) {
		rec, err, ok := next()
		if err != nil {
			err = pipeline.Fail("bad-input", "%s: %w", url, err)
		}
		return rec, err, ok
	}}
}

// csv reads rows; the header names the fields.
func (in input) csv(f io.Reader) (iter.Seq2[*local.Record, error], error) {
	r := csv.NewReader(f)
	header, err := r.Read()
	if err != nil {
		return nil, fmt.Errorf("the header: %w", err)
	}
	header[0] = strings.TrimPrefix(header[0], "\ufeff")
	for i, name := range header {
		if header[i] = strings.TrimSpace(name); header[i] == "" || slices.Contains(header[:i], header[i]) {
			return nil, fmt.Errorf("the header: column %d: the name %q is empty or repeated", i+1, header[i])
		}
	}
	return func(yield func(*local.Record, error) bool) {
		for {
			row, err := r.Read()
			if err == io.EOF {
				return
			}
			var parse *csv.ParseError
			if err != nil && !errors.As(err, &parse) {
				yield(nil, err)
				return
			}
			if !yield(in.row(r, header, row, parse), nil) {
				return
			}
		}
	}, nil
}

func (in input) row(r *csv.Reader, header, row []string, parse *csv.ParseError) *local.Record {
	if parse != nil {
		return &local.Record{Where: fmt.Sprintf("%s:%d", in.name(), parse.StartLine), Text: []byte(strings.Join(row, ",")), Bad: parse.Err}
	}
	line, _ := r.FieldPos(0)
	body := make(map[string]string, len(header))
	for i, name := range header {
		body[name] = row[i]
	}
	text, err := json.Marshal(body)
	it := pipeline.NewItem{Body: text}
	if err == nil {
		err = it.Validate()
	}
	return &local.Record{Item: it, Where: fmt.Sprintf("%s:%d", in.name(), line), Text: text, Bad: err}
}

// openFiles lists what a path or glob names, folders and hidden files left
// out, in the order of the names.
func (in input) openFiles() (*records, error) {
	paths := []string{resolve(in.dir, in.path)}
	if isGlob(in.path) {
		var err error
		if paths, err = filepath.Glob(paths[0]); err != nil {
			return nil, err
		}
	}
	paths = slices.DeleteFunc(paths, func(p string) bool {
		info, err := os.Stat(p)
		return err == nil && !info.Mode().IsRegular() || isGlob(in.path) && strings.HasPrefix(filepath.Base(p), ".")
	})
	if len(paths) == 0 {
		return nil, fmt.Errorf("no file matches: %w", fs.ErrNotExist)
	}
	if !isGlob(in.path) {
		if _, err := os.Stat(paths[0]); err != nil {
			return nil, err
		}
	}
	return newRecords(in.url, func(yield func(*local.Record, error) bool) {
		for _, path := range paths {
			if !yield(in.file(path), nil) {
				return
			}
		}
	}, func() error { return nil }), nil
}

// file is read when it is claimed, so that only the items in flight are in
// memory.
func (in input) file(path string) *local.Record {
	name := path
	if rel, err := filepath.Rel(in.dir, path); err == nil && !filepath.IsAbs(in.path) {
		name = rel
	}
	rec := local.FileRecord(path, filepath.ToSlash(name))
	rec.Body = func() (pipeline.Body, error) {
		data, err := local.ReadFile(path)
		return pipeline.RawBody(data, local.MediaType(path)), err
	}
	return rec
}
