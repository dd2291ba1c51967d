package local

import (
	"encoding/json"
	"log/slog"
	"maps"
	"strconv"
	"strings"
	"sync"
	"time"
	"unicode/utf8"

	"github.com/waybill-dev/waybill/pipeline"
	"github.com/waybill-dev/waybill/stages/internal/durable"
)

// Letters is the dead-letter file, made when the first item dies. Its lines
// are those of `waybill enqueue`; meta tells why they are there. Runs over the
// same input may share it.
type Letters struct {
	path string
	log  *slog.Logger

	mu    sync.Mutex
	lines *durable.Lines
	named []string // without a path: who died, the first of them
	dead  int
}

// NewLetters returns the dead letters in a file that is made when it is needed.
// Without a path they are only named in the log.
func NewLetters(path string, log *slog.Logger) *Letters { return &Letters{path: path, log: log} }

// write keeps an item, on disk when it returns.
func (l *Letters) write(e *entry, cause error) error {
	if l.path == "" {
		l.name(e, cause)
		return nil
	}
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

func (l *Letters) open() (*durable.Lines, error) {
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
	it := e.Item
	it.ID, it.NotBefore, it.Deadline = e.id, time.Time{}, time.Time{}
	it.Meta = maps.Clone(it.Meta)
	if it.Meta == nil {
		it.Meta = map[string]string{}
	}
	switch {
	case e.Letter != nil && e.Bad == nil:
		it.Body = e.Letter()
	case e.Bad != nil:
		text := strings.ToValidUTF8(string(e.Text), string(utf8.RuneError))
		it.Body, _ = json.Marshal(text[:min(len(text), pipeline.MaxItemBody/8)]) // a string always encodes
	}
	it.Meta["dead.at"] = time.Now().UTC().Format(time.RFC3339)
	it.Meta["dead.from"] = e.Where
	it.Meta["dead.attempts"] = strconv.Itoa(e.attempts)
	if cause != nil {
		it.Meta["dead.error"], it.Meta["dead.code"] = strings.ToValidUTF8(cause.Error(), "?"), pipeline.CodeOf(cause)
	}
	return it
}

// name tells the log, now and once more at the end.
func (l *Letters) name(e *entry, cause error) {
	l.log.Error("an item is dead, and nothing keeps it", "item", e.id, "attempts", e.attempts, "error", cause)
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.dead++; l.dead <= maxNamed {
		l.named = append(l.named, e.id)
	}
}

// Close closes the file, or lists who died if there is none.
func (l *Letters) Close() error {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.dead > 0 {
		l.log.Warn("items that are dead, and kept nowhere", "count", l.dead, "items", l.named)
	}
	if l.lines == nil {
		return nil
	}
	return l.lines.Close()
}
