package durable

import (
	"bufio"
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"sync"
)

// Lines is a file of JSON lines that only grows. Processes may share it: each
// write is made under a lock, begins on a line of its own, and is there whole or
// not at all. Nothing that somebody else has written is ever cut off; only half
// a JSON value at the end is, which a crash left and nobody was told of.
//
// A FIFO or a device is written to as it is: it can neither be locked, cut nor
// flushed.
type Lines struct {
	path    string
	f       *os.File
	regular bool

	mu      sync.Mutex // of the file's end
	lock    *Lock
	held    bool  // the lock is ours until Close
	written int64 // calls of Add

	syncing sync.Mutex
	synced  int64 // calls of Add whose lines are on disk
}

// OpenLines opens the file, or makes it, durably. It changes nothing in it.
func OpenLines(path string) (*Lines, error) {
	f, err := os.OpenFile(path, os.O_CREATE|os.O_RDWR|os.O_APPEND, 0o644)
	if err != nil {
		return nil, err
	}
	l := &Lines{path: path, f: f, lock: &Lock{f}}
	info, err := f.Stat()
	if err == nil {
		if l.regular = info.Mode().IsRegular(); l.regular {
			err = SyncDirs(filepath.Dir(path))
		}
	}
	if err != nil {
		return nil, errors.Join(err, f.Close())
	}
	return l, nil
}

// Hold keeps other processes out until Close, and reports whether it can: false
// means that one of them is at work.
func (l *Lines) Hold() (bool, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	var err error
	l.held, err = l.lock.TryLock()
	return l.held, err
}

// First returns the first line with its end, if it has one; of an empty file
// nothing. It changes nothing, so that a caller can see whose file this is.
func (l *Lines) First() ([]byte, error) {
	line, err := bufio.NewReader(io.NewSectionReader(l.f, 0, 1<<62)).ReadBytes('\n')
	if err == io.EOF {
		err = nil
	}
	return line, err
}

// Load returns the content, its end mended.
func (l *Lines) Load() (text []byte, err error) {
	err = l.locked(func(size int64) error {
		text = make([]byte, size)
		_, err := io.ReadFull(io.NewSectionReader(l.f, 0, size), text)
		return err
	})
	return text, err
}

// Append writes lines, with their ends, and flushes them.
func (l *Lines) Append(lines []byte) error { return l.write(lines, l.f.Sync) }

// Add writes lines, with their ends. They survive the death of the process;
// Flush makes them survive the loss of power.
func (l *Lines) Add(lines []byte) error {
	return l.write(lines, func() error { l.written++; return nil })
}

// write appends and then does what makes it count. If either fails the file is
// as it was, so that the next try does not repeat half of it.
func (l *Lines) write(lines []byte, then func() error) error {
	if !l.regular {
		_, err := l.f.Write(lines)
		return err
	}
	return l.locked(func(size int64) error {
		_, err := l.f.Write(lines)
		if err == nil {
			err = then()
		}
		if err != nil {
			return errors.Join(err, l.f.Truncate(size))
		}
		return nil
	})
}

// Flush waits until everything that was added is on disk. Callers that wait at
// the same time share one flush.
func (l *Lines) Flush() error {
	l.mu.Lock()
	mine := l.written
	l.mu.Unlock()
	l.syncing.Lock()
	defer l.syncing.Unlock()
	if l.synced >= mine {
		return nil
	}
	l.mu.Lock()
	all := l.written
	l.mu.Unlock()
	if err := l.f.Sync(); err != nil {
		return err
	}
	l.synced = all
	return nil
}

// Close gives the lock back and closes the file.
func (l *Lines) Close() error { return l.lock.Close() }

// locked runs f while the file is ours and ends with a line's end; size is the
// file's.
func (l *Lines) locked(f func(size int64) error) error {
	l.mu.Lock()
	defer l.mu.Unlock()
	if !l.held {
		if err := l.lock.Lock(); err != nil {
			return fmt.Errorf("lock %s: %w", l.path, err)
		}
		defer l.lock.Unlock()
	}
	size, err := l.mend()
	if err != nil {
		return fmt.Errorf("mend %s: %w", l.path, err)
	}
	return f(size)
}

// mend makes the file end with a line's end, and returns its size.
func (l *Lines) mend() (int64, error) {
	info, err := l.f.Stat()
	if err != nil || info.Size() == 0 {
		return 0, err
	}
	size := info.Size()
	end, err := lastLineEnd(l.f, size)
	if err != nil || end == size {
		return size, err
	}
	if torn(io.NewSectionReader(l.f, end, size-end)) {
		return end, l.f.Truncate(end)
	}
	_, err = l.f.Write([]byte("\n"))
	return size + 1, err
}

// torn reports whether a last line is the beginning of a JSON value, or bytes
// that never got onto the disk, and no more: zeroes stand for them after the
// loss of power.
func torn(tail io.Reader) bool {
	var value json.RawMessage
	text, err := io.ReadAll(tail)
	if err != nil {
		return false
	}
	text = bytes.TrimRight(text, "\x00")
	if len(text) == 0 {
		return true
	}
	return errors.Is(json.NewDecoder(bytes.NewReader(text)).Decode(&value), io.ErrUnexpectedEOF)
}

// lastLineEnd returns the offset after the last newline before size.
func lastLineEnd(f io.ReaderAt, size int64) (int64, error) {
	step := int64(1) // nearly always the file ends with a newline: look there first
	for buf := make([]byte, 64<<10); size > 0; step = int64(len(buf)) {
		from := max(0, size-step)
		chunk := buf[:size-from]
		if _, err := f.ReadAt(chunk, from); err != nil && err != io.EOF {
			return 0, err
		}
		if i := bytes.LastIndexByte(chunk, '\n'); i >= 0 {
			return from + int64(i) + 1, nil
		}
		size = from
	}
	return 0, nil
}
