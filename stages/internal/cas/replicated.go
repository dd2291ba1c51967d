package cas

import (
	"cmp"
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"slices"

	"golang.org/x/sync/errgroup"

	"github.com/waybill-dev/waybill/pipeline"
)

// Place is one place of a Replicated store. Its name decides which objects it
// gets, so it should stay the same when the store moves.
type Place struct {
	Name string
	pipeline.Objects
}

// Replicated keeps each object on several distinct places. With more places than
// copies, each object goes to the places that rank highest for it (rendezvous
// hashing), so that adding a place moves few objects.
type Replicated struct {
	places []Place
	copies int
}

var _ pipeline.Objects = (*Replicated)(nil)

// NewReplicated returns a store with so many copies on these places, which it
// owns from now on.
func NewReplicated(places []Place, copies int) (*Replicated, error) {
	if copies < 1 || copies > len(places) {
		return nil, fmt.Errorf("%d copies need as many distinct places, but there are %d", copies, len(places))
	}
	seen := map[string]bool{}
	for _, p := range places {
		if seen[p.Name] {
			return nil, fmt.Errorf("the place %s is listed twice; copies need distinct places", p.Name)
		}
		seen[p.Name] = true
	}
	return &Replicated{places: places, copies: copies}, nil
}

// rank orders the places for an object, best first.
func (r *Replicated) rank(d pipeline.Digest) []int {
	order := make([]int, len(r.places))
	weights := make([][sha256.Size]byte, len(r.places))
	for i, p := range r.places {
		order[i] = i
		weights[i] = sha256.Sum256([]byte(string(d) + " " + p.Name))
	}
	slices.SortFunc(order, func(a, b int) int {
		return cmp.Or(-slices.Compare(weights[a][:], weights[b][:]), cmp.Compare(a, b))
	})
	return order
}

// Put implements pipeline.Objects. If one place fails, Put fails: the copies
// that other places hold by then are whole and do no harm.
func (r *Replicated) Put(ctx context.Context, blobs []pipeline.Blob) (int, error) {
	shares := make([][]pipeline.Blob, len(r.places))
	for _, b := range blobs {
		for _, i := range r.rank(b.Digest)[:r.copies] {
			shares[i] = append(shares[i], b)
		}
	}
	var g errgroup.Group
	for i, share := range shares {
		if len(share) == 0 {
			continue
		}
		g.Go(func() error {
			n, err := r.places[i].Put(ctx, share)
			if err == nil && n < 1 {
				err = fmt.Errorf("%s acknowledged no copy", r.places[i].Name)
			}
			return err
		})
	}
	if err := g.Wait(); err != nil {
		return 0, err
	}
	return r.copies, nil
}

// Get implements pipeline.Objects: the first intact copy, in order of rank.
func (r *Replicated) Get(ctx context.Context, d pipeline.Digest) ([]byte, error) {
	worst := fmt.Errorf("%s: %w", d, pipeline.ErrNotFound)
	for _, i := range r.rank(d) {
		b, err := r.places[i].Get(ctx, d)
		if err == nil {
			return b, nil
		}
		if !errors.Is(err, pipeline.ErrNotFound) {
			worst = err
		}
	}
	return nil, worst
}

// Has implements pipeline.Objects.
func (r *Replicated) Has(ctx context.Context, d pipeline.Digest) (bool, error) {
	var failed error
	for _, i := range r.rank(d) {
		has, err := r.places[i].Has(ctx, d)
		if has {
			return true, nil
		}
		failed = errors.Join(failed, err)
	}
	return false, failed
}

// List implements pipeline.Objects.
func (r *Replicated) List(ctx context.Context, yield func(pipeline.ObjectInfo) bool) error {
	more := true
	for _, p := range r.places {
		err := p.List(ctx, func(o pipeline.ObjectInfo) bool {
			more = yield(o)
			return more
		})
		if err != nil || !more {
			return err
		}
	}
	return nil
}

// Check implements pipeline.Objects. With more places than copies, places that
// were not chosen for the object report it missing, and rightly so.
func (r *Replicated) Check(ctx context.Context, d pipeline.Digest) ([]pipeline.ObjectCheck, error) {
	var all []pipeline.ObjectCheck
	for _, p := range r.places {
		c, err := p.Check(ctx, d)
		if err != nil {
			return nil, err
		}
		all = append(all, c...)
	}
	return all, nil
}

// Close closes all places.
func (r *Replicated) Close() error {
	var errs []error
	for _, p := range r.places {
		errs = append(errs, p.Close())
	}
	return errors.Join(errs...)
}
