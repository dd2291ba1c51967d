package send

import (
	"bytes"
	"context"
	"errors"
	"io"
	"sync"
	"syscall"
	"time"

	"github.com/waybill-dev/waybill/pipeline"
	"github.com/waybill-dev/waybill/stages/internal/durable"
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

// Start opens the destination.
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
	sizes := make([]int64, len(items))
	failed := false
	var b bytes.Buffer
	for i, it := range items {
		line, err := encode(it, l.cfg.What)
		if err == nil {
			sizes[i] = int64(len(line) + 1)
			err = it.Budget.Reserve(pipeline.UnitIO, sizes[i])
		}
		if err != nil {
			errs[i], failed = err, true
			continue
		}
		b.Write(line)
		b.WriteByte('\n')
	}
	err := l.write(b.Bytes())
	for i, it := range items {
		switch {
		case errs[i] != nil:
		case err != nil:
			it.Budget.Settle(pipeline.UnitIO, sizes[i], 0)
			errs[i], failed = err, true
		default:
			it.Budget.Settle(pipeline.UnitIO, sizes[i], sizes[i])
		}
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
	err := l.out.append(b)
	if err == nil {
		return nil
	}
	code := "write"
	if errors.Is(err, syscall.EPIPE) {
		code = "closed-pipe"
	}
	return durable.WriteError("send to "+l.cfg.To, err, pipeline.Retry, code)
}

// fileOut appends to a file that several processes may share.
type fileOut struct {
	path  string
	lines *durable.Lines
}

func (o *fileOut) open() error {
	l, err := durable.OpenLines(o.path)
	if err != nil {
		return pipeline.Fail("unwritable", "send: %w", err).WithHint("make the folder, or choose another file")
	}
	o.lines = l
	return nil
}

func (o *fileOut) append(b []byte) error { return o.lines.Append(b) }

// Close closes the file, if it was opened; a second call does nothing.
func (o *fileOut) Close() error {
	if o.lines == nil {
		return nil
	}
	l := o.lines
	o.lines = nil
	return l.Close()
}
