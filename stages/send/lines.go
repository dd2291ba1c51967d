package send

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"sync"
	"syscall"
	"time"

	"github.com/waybill-dev/waybill/pipeline"
)

// output takes whole lines; append is durable when it returns, as far as the
// destination can be.
type output interface {
	open() error
	append(lines []byte) error
	io.Closer
}

// lines writes items as JSON Lines. It is a Batcher so that many items share
// one flush.
type lines struct {
	cfg Config
	mu  sync.Mutex
	out output
}

var (
	_ pipeline.Batcher = (*lines)(nil)
	_ pipeline.Starter = (*lines)(nil)
	_ pipeline.Closer  = (*lines)(nil)
	_ pipeline.Orderer = (*lines)(nil)
)

// Start opens the destination and repairs what a crash left.
func (l *lines) Start(context.Context) error { return l.out.open() }

// Close closes the file.
func (l *lines) Close() error { return l.out.Close() }

// Ordered reports whether lines keep the order of the claims.
func (l *lines) Ordered() bool { return l.cfg.Ordered }

// Batching allows batches of 64 and waits 2 ms for company: a flush costs that
// much on an ordinary disk.
func (l *lines) Batching() (int, time.Duration) { return 64, 2 * time.Millisecond }

// Process writes one item.
func (l *lines) Process(ctx context.Context, it *pipeline.Item) error {
	if errs := l.ProcessBatch(ctx, []*pipeline.Item{it}); errs != nil {
		return errs[0]
	}
	return nil
}

// ProcessBatch writes all items that can be encoded with one write and one
// flush.
func (l *lines) ProcessBatch(_ context.Context, items []*pipeline.Item) []error {
	errs := make([]error, len(items))
	failed := false
	var b bytes.Buffer
	for i, it := range items {
		line, err := encode(it, l.cfg.What)
		if err != nil {
			errs[i], failed = err, true
			continue
		}
		b.Write(line)
		b.WriteByte('\n')
	}
	if err := l.write(b.Bytes()); err != nil {
		for i := range errs {
			if errs[i] == nil {
				errs[i] = err
			}
		}
		return errs
	}
	if failed {
		return errs
	}
	return nil
}

func (l *lines) write(b []byte) error {
	if len(b) == 0 {
		return nil
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	if err := l.out.append(b); err != nil {
		return &pipeline.Error{Kind: pipeline.Retry, Code: writeCode(err), Err: fmt.Errorf("send to %s: %w", l.cfg.To, err)}
	}
	return nil
}

func writeCode(err error) string {
	switch {
	case errors.Is(err, syscall.ENOSPC), errors.Is(err, syscall.EDQUOT):
		return "disk-full"
	case errors.Is(err, syscall.EPIPE):
		return "closed-pipe"
	}
	return "write"
}

// fileOut appends to a file. The lock is held only around an append, so that
// several processes may share the file.
type fileOut struct {
	path string
	f    *os.File
	// regular is false for a FIFO or a device, which can neither be cut nor
	// flushed.
	regular bool
}

func (o *fileOut) open() error {
	f, err := os.OpenFile(o.path, os.O_CREATE|os.O_RDWR|os.O_APPEND, 0o644)
	if err != nil {
		return pipeline.Fail("unwritable", "send: %w", err).WithHint("make the folder, or choose another file")
	}
	o.f = f
	info, err := f.Stat()
	if err != nil {
		return err
	}
	o.regular = info.Mode().IsRegular()
	if !o.regular {
		return nil
	}
	if err := o.locked(func(int64) error { return nil }); err != nil {
		return fmt.Errorf("send to %s: %w", o.path, err)
	}
	return syncDir(filepath.Dir(o.path))
}

// syncDir makes a new file's name durable.
func syncDir(dir string) error {
	d, err := os.Open(dir)
	if err != nil {
		return err
	}
	defer d.Close()
	return d.Sync()
}

// append writes b and flushes it. When that fails the file is cut back to what
// it was, so that the next attempt does not repeat half of it.
func (o *fileOut) append(b []byte) error {
	if !o.regular {
		_, err := o.f.Write(b)
		return err
	}
	return o.locked(func(size int64) error {
		_, err := o.f.Write(b)
		if err == nil {
			err = o.f.Sync()
		}
		if err != nil {
			return errors.Join(err, o.f.Truncate(size))
		}
		return nil
	})
}

// locked runs fn with the file locked against other processes and ending at a
// line's end; size is the file's size.
func (o *fileOut) locked(fn func(size int64) error) error {
	if err := syscall.Flock(int(o.f.Fd()), syscall.LOCK_EX); err != nil {
		return fmt.Errorf("lock: %w", err)
	}
	defer syscall.Flock(int(o.f.Fd()), syscall.LOCK_UN)
	size, err := repair(o.f)
	if err != nil {
		return fmt.Errorf("repair: %w", err)
	}
	return fn(size)
}

// repair cuts off a torn last line and returns the size. A torn line was never
// acknowledged: its item is delivered again.
func repair(f *os.File) (int64, error) {
	info, err := f.Stat()
	if err != nil {
		return 0, err
	}
	end, err := lastLineEnd(f, info.Size())
	if err != nil || end == info.Size() {
		return end, err
	}
	return end, f.Truncate(end)
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

// Close closes the file, if it was opened; a second call does nothing.
func (o *fileOut) Close() error {
	if o.f == nil {
		return nil
	}
	f := o.f
	o.f = nil
	return f.Close()
}
