package file

import (
	"encoding/json"
	"log/slog"
	"maps"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"time"
	"unicode/utf8"

	"github.com/waybill-dev/waybill/pipeline"
	"github.com/waybill-dev/waybill/stages/internal/durable"
)

// letters is the dead-letter file, made when the first item dies. Its lines
// are those of `waybill enqueue`; meta tells why they are there. Runs over the
// same input may share it.
type letters struct {
	path string
	log  *slog.Logger

	mu    sync.Mutex // of lines
	lines *durable.Lines
}

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

// write keeps an item, on disk when it returns.
func (l *letters) write(e *entry, cause error) error {
	line, err := json.Marshal(letterOf(e, cause))
	if err != nil {
		return err
	}
	lines, err := l.open()
	if err == nil {
		err = lines.Append(append(line, '\n'))
	}
	if err != nil {
		return sideError(l.path, err)
	}
	return nil
}

func (l *letters) open() (*durable.Lines, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.lines != nil {
		return l.lines, nil
	}
	var err error
	if l.lines, err = durable.OpenLines(l.path); err == nil {
		l.log.Warn("items that are dead are kept, ready to be enqueued again", "file", l.path)
	}
	return l.lines, err
}

// letterOf makes the item to be enqueued again. Of a record that was no item
// the body is its text; files are only named, they still stand where they are.
func letterOf(e *entry, cause error) pipeline.NewItem {
	it := e.item
	it.ID, it.NotBefore, it.Deadline = e.id, time.Time{}, time.Time{}
	it.Meta = maps.Clone(it.Meta)
	if it.Meta == nil {
		it.Meta = map[string]string{}
	}
	if e.bad != nil {
		text := strings.ToValidUTF8(string(e.text), string(utf8.RuneError))
		it.Body, _ = json.Marshal(text[:min(len(text), pipeline.MaxItemBody/8)]) // a string always encodes
	}
	it.Meta["dead.at"] = time.Now().UTC().Format(time.RFC3339)
	it.Meta["dead.from"] = e.where
	it.Meta["dead.attempts"] = strconv.Itoa(e.attempts)
	if cause != nil {
		it.Meta["dead.error"], it.Meta["dead.code"] = strings.ToValidUTF8(cause.Error(), "?"), pipeline.CodeOf(cause)
	}
	return it
}

func (l *letters) close() error {
	if l == nil || l.lines == nil {
		return nil
	}
	return l.lines.Close()
}
