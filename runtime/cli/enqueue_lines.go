package cli

import (
	"cmp"
	"errors"
	"fmt"
	"io"
	"iter"
	"os"

	"github.com/waybill-dev/waybill/pipeline"
)

// maxBadLines is how many bad lines are named; more are only counted.
const maxBadLines = 20

// items reads the items of one file, with the defaults of the flags.
func (e *enqueuer) items(r io.Reader, name string) iter.Seq2[pipeline.ItemLine, error] {
	read := pipeline.ReadItems
	if e.flags.bodies != "" {
		read = pipeline.ReadLargeItems
	}
	return func(yield func(pipeline.ItemLine, error) bool) {
		for item, err := range read(r, name) {
			if err == nil && item.IdempotencyKey != "" {
				item.IdempotencyScope = cmp.Or(item.IdempotencyScope, e.flags.scope)
				item.IdempotencyTTL = cmp.Or(item.IdempotencyTTL, pipeline.Duration(e.flags.ttl))
			}
			if !yield(item, err) {
				return
			}
		}
	}
}

// validateFiles reads every regular file to its end and names the bad lines,
// so that nothing is enqueued half.
func (e *enqueuer) validateFiles(files []string) error {
	bad, seen := 0, firstLines{ids: map[string]string{}, keys: map[string]bool{}}
	for _, name := range files {
		if name == "-" {
			continue
		}
		f, err := os.Open(name)
		if err != nil {
			return problem("", "%w", err)
		}
		info, err := f.Stat()
		if err == nil && info.Mode().IsRegular() {
			bad += e.badLines(f, name, seen)
		} else if err == nil && info.IsDir() {
			err = problem("name a file of JSON lines", "%s is a folder", name)
		}
		if err = errors.Join(err, f.Close()); err != nil {
			return err
		}
	}
	if bad == 0 {
		return nil
	}
	return problem("", "%s; nothing was enqueued", count(int64(bad), "bad line"))
}

func (e *enqueuer) badLines(r io.Reader, name string, seen firstLines) (bad int) {
	for item, err := range e.items(r, name) {
		if err == nil {
			err = seen.add(&item, name)
		}
		if err == nil {
			continue
		}
		if bad++; bad <= maxBadLines {
			fmt.Fprintln(e.app.stderr, err)
		}
	}
	return bad
}

// firstLines knows where the ids and idempotency keys of the files stood first.
type firstLines struct {
	ids  map[string]string // file:line
	keys map[string]bool
}

// add refuses an id that stood before. As in the queue, a known idempotency key
// makes a line a repetition of another and its id no matter.
func (s firstLines) add(item *pipeline.ItemLine, name string) error {
	if item.IdempotencyKey != "" {
		if s.keys[item.IdempotencyKey] {
			return nil
		}
		s.keys[item.IdempotencyKey] = true
	}
	if item.ID == "" {
		return nil
	}
	if first, taken := s.ids[item.ID]; taken {
		return fmt.Errorf("%s:%d: duplicate id %q, first at %s", name, item.Line, item.ID, first)
	}
	s.ids[item.ID] = fmt.Sprintf("%s:%d", name, item.Line)
	return nil
}
