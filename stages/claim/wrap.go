package claim

import (
	"context"
	"errors"

	"github.com/waybill-dev/waybill/pipeline"
)

// withBodies puts b between a source and whoever claims from it. What else the
// source can do stays visible.
func withBodies(src pipeline.Source, b *bodies) pipeline.Source {
	if q, ok := src.(pipeline.Queue); ok {
		return queueWithBodies{q, b}
	}
	return sourceWithBodies{src, b}
}

type queueWithBodies struct {
	pipeline.Queue
	b *bodies
}

func (q queueWithBodies) Claim(ctx context.Context, most int) ([]*pipeline.Item, error) {
	return q.b.claim(ctx, q.Queue, most)
}

func (q queueWithBodies) Close() error { return errors.Join(q.Queue.Close(), q.b.close()) }

type sourceWithBodies struct {
	pipeline.Source
	b *bodies
}

func (s sourceWithBodies) Claim(ctx context.Context, most int) ([]*pipeline.Item, error) {
	return s.b.claim(ctx, s.Source, most)
}

func (s sourceWithBodies) Close() error { return errors.Join(closeSource(s.Source), s.b.close()) }

// Wakes is nil, which never gets a value, of a source that does not know when to
// claim.
func (s sourceWithBodies) Wakes() <-chan struct{} {
	if w, ok := s.Source.(pipeline.Waker); ok {
		return w.Wakes()
	}
	return nil
}

func closeSource(src pipeline.Source) error {
	if c, ok := src.(pipeline.Closer); ok {
		return c.Close()
	}
	return nil
}
