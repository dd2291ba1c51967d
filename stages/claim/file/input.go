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

	"github.com/waybill-dev/waybill/pipeline"
)

// maxFile bounds the content of one file of the format "files": bodies are
// held in memory.
const maxFile = 64 << 20

// record is one item of an input, or the part of it that could not be read.
type record struct {
	item pipeline.NewItem
	// where is the place in the input, and the id of items without one.
	where string
	// body is set instead of item.Body when the content is not JSON.
	body func() (pipeline.Body, error)
	// bad says why this is not an item; text is what stands there.
	bad  error
	text []byte
}

// input is what a URL names.
type input struct {
	url, path, dir, format string
}

// records is the sequence of an input's records. An error is the last element.
type records struct {
	next  func() (record, error, bool)
	stop  func()
	close func() error
}

// open checks what can be checked at once and returns the records.
func (in input) open() (records, error) {
	if in.format == "files" {
		return in.openFiles()
	}
	f, err := os.Open(resolve(in.dir, in.path))
	if err != nil {
		return records{}, err
	}
	var seq iter.Seq2[record, error]
	switch in.format {
	case "items", "jsonl":
		seq = in.lines(f)
	case "csv":
		seq, err = in.csv(f)
	default:
		err = pipeline.Fail("bad-format", "%s: unknown format %q", in.url, in.format).WithHint("items, jsonl, csv or files")
	}
	if err != nil {
		_ = f.Close()
		return records{}, err
	}
	next, stop := iter.Pull2(seq)
	return records{next, stop, f.Close}, nil
}

func (in input) name() string { return filepath.Base(in.path) }

// lines reads JSON Lines, as items or as bodies.
func (in input) lines(f io.Reader) iter.Seq2[record, error] {
	return func(yield func(record, error) bool) {
		for line, err := range pipeline.ReadLines(f) {
			if err != nil && line.Text == nil {
				yield(record{}, err)
				return
			}
			rec := record{where: fmt.Sprintf("%s:%d", in.name(), line.Number), text: line.Text}
			if rec.bad = err; err == nil {
				rec.item, rec.bad = in.parse(line.Text)
			}
			if !yield(rec, nil) {
				return
			}
		}
	}
}

func (in input) parse(text []byte) (pipeline.NewItem, error) {
	if in.format == "jsonl" {
		it := pipeline.NewItem{Body: text}
		return it, it.Validate()
	}
	it, err := pipeline.ParseItem(text)
	var typed *pipeline.Error
	if errors.As(err, &typed) && typed.Hint == "" {
		typed.Hint = "format: jsonl takes each line as a body"
	}
	return it, err
}

// csv reads rows; the header names the fields.
func (in input) csv(f io.Reader) (iter.Seq2[record, error], error) {
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
	return func(yield func(record, error) bool) {
		for {
			row, err := r.Read()
			if err == io.EOF {
				return
			}
			var parse *csv.ParseError
			if err != nil && !errors.As(err, &parse) {
				yield(record{}, err)
				return
			}
			if !yield(in.row(r, header, row, parse), nil) {
				return
			}
		}
	}, nil
}

func (in input) row(r *csv.Reader, header, row []string, parse *csv.ParseError) record {
	if parse != nil {
		return record{where: fmt.Sprintf("%s:%d", in.name(), parse.StartLine), text: []byte(strings.Join(row, ",")), bad: parse.Err}
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
	return record{item: it, where: fmt.Sprintf("%s:%d", in.name(), line), text: text, bad: err}
}

// openFiles lists what a path or glob names, folders and hidden files left
// out, in the order of the names.
func (in input) openFiles() (records, error) {
	paths := []string{resolve(in.dir, in.path)}
	if isGlob(in.path) {
		var err error
		if paths, err = filepath.Glob(paths[0]); err != nil {
			return records{}, err
		}
	}
	paths = slices.DeleteFunc(paths, func(p string) bool {
		info, err := os.Stat(p)
		return err == nil && !info.Mode().IsRegular() || isGlob(in.path) && strings.HasPrefix(filepath.Base(p), ".")
	})
	if len(paths) == 0 {
		return records{}, fmt.Errorf("no file matches: %w", fs.ErrNotExist)
	}
	if !isGlob(in.path) {
		if _, err := os.Stat(paths[0]); err != nil {
			return records{}, err
		}
	}
	next, stop := iter.Pull2(func(yield func(record, error) bool) {
		for _, path := range paths {
			if !yield(in.file(path), nil) {
				return
			}
		}
	})
	return records{next, stop, func() error { return nil }}, nil
}

// file is read when it is claimed, so that only the items in flight are in
// memory.
func (in input) file(path string) record {
	name := path
	if rel, err := filepath.Rel(in.dir, path); err == nil && !filepath.IsAbs(in.path) {
		name = rel
	}
	name = filepath.ToSlash(name)
	it := pipeline.NewItem{Meta: map[string]string{"name": filepath.Base(path), "path": name}}
	return record{item: it, where: name, body: func() (pipeline.Body, error) {
		f, err := os.Open(path)
		if err != nil {
			return pipeline.Body{}, err
		}
		defer f.Close()
		data, err := io.ReadAll(io.LimitReader(f, maxFile+1))
		if err == nil && len(data) > maxFile {
			err = pipeline.Fail("body-too-large", "%s has more than %d bytes", name, maxFile)
		}
		return pipeline.RawBody(data, mediaTypes[strings.ToLower(filepath.Ext(path))]), err
	}}
}

// mediaTypes is a table of our own because that of package mime depends on the
// machine, and the media type is part of what a receipt says. Others are found
// out from the content when somebody asks.
var mediaTypes = map[string]string{
	".html": "text/html; charset=utf-8", ".htm": "text/html; charset=utf-8", ".json": pipeline.MediaJSON,
	".txt": pipeline.MediaText, ".md": "text/markdown; charset=utf-8", ".csv": "text/csv; charset=utf-8",
	".xml": "application/xml", ".svg": "image/svg+xml", ".png": "image/png", ".jpg": "image/jpeg", ".jpeg": "image/jpeg",
	".gif": "image/gif", ".webp": "image/webp", ".pdf": "application/pdf", ".wasm": "application/wasm",
}
