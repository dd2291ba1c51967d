package claim

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"maps"
	"math/rand/v2"
	"sync"
	"time"

	"github.com/waybill-dev/waybill/pipeline"
	"github.com/waybill-dev/waybill/stages/internal/cas"
)

// Codes of items whose body is kept in an object store.
const (
	codeNoStore     = "body-elsewhere"
	codeUnavailable = "body-unavailable"
	codeCorrupt     = "body-corrupt"
)

// giveBackTime bounds the write that gives an item back, which a run that ends
// still makes.
const giveBackTime = 10 * time.Second

// bodies gives claimed items the bodies that they refer to (pipeline.BodyRef),
// before anybody sees them: stages, receipts and the distributor find the item as
// if the body had been in the queue.
type bodies struct {
	place string           // what reports call the store: no secrets
	store pipeline.Objects // nil: the stage names none
	log   *slog.Logger

	mu     sync.Mutex
	misses map[string]int // by item: how often in a row its body could not be had
}

// claim claims from src and fetches what the items refer to. An item whose body
// cannot be had at present goes back without losing an attempt and is left out;
// one whose body can never be had is condemned.
func (b *bodies) claim(ctx context.Context, src pipeline.Source, most int) ([]*pipeline.Item, error) {
	items, err := src.Claim(ctx, most)
	if err != nil {
		return items, err
	}
	var fetches sync.WaitGroup
	failed := make([]error, len(items))
	for i, it := range items {
		if _, refers := it.Meta[pipeline.MetaBody]; refers {
			fetches.Go(func() { failed[i] = b.fill(ctx, src.Lease(), it) })
		}
	}
	fetches.Wait()
	kept := items[:0]
	for i, it := range items {
		switch {
		case failed[i] == nil || it.Condemned != nil:
			kept = append(kept, it)
		case pipeline.KindOf(failed[i]) == pipeline.Permanent:
			it.Condemned = failed[i]
			kept = append(kept, it)
		default:
			b.giveBack(ctx, src, it, failed[i])
		}
	}
	return kept, nil
}

// fill replaces the reference by the body. The receipt names the object whatever
// becomes of the item.
func (b *bodies) fill(ctx context.Context, lease time.Duration, it *pipeline.Item) error {
	ref, err := pipeline.ParseBodyRef(it.Meta[pipeline.MetaBody])
	if err != nil {
		return pipeline.Fail("bad-item", "%w", err)
	}
	it.DependOn(pipeline.Dependency{Name: pipeline.MetaBody, MediaType: pipeline.MediaJSON, Digest: ref.Digest})
	if it.Condemned != nil {
		return nil // nobody will read it
	}
	if b.store == nil {
		return pipeline.Fail(codeNoStore, "the body (%s, %d bytes) is in an object store, and the stage claim names none", ref.Digest, ref.Size).
			WithHint("add the store to it that the items were enqueued with, such as bodies: file:var/objects; then waybill queue retry")
	}
	if lease > 0 { // the engine renews only what it has been given
		var stop context.CancelFunc
		ctx, stop = context.WithTimeout(ctx, lease/3)
		defer stop()
	}
	body, err := b.fetch(ctx, ref)
	if err != nil {
		return err
	}
	b.found(it.ID)
	it.Input, it.Body = body, pipeline.RawBody(body, pipeline.MediaJSON)
	it.Meta = maps.Clone(it.Meta) // the source may keep the old one
	delete(it.Meta, pipeline.MetaBody)
	return nil
}

// fetch reads the object and makes sure that it is what the reference says.
func (b *bodies) fetch(ctx context.Context, ref pipeline.BodyRef) ([]byte, error) {
	body, err := b.store.Get(ctx, ref.Digest)
	if err == nil && (int64(len(body)) != ref.Size || pipeline.DigestOf(body) != ref.Digest) {
		err = fmt.Errorf("%s, %d bytes where %d should be: %w", ref.Digest, len(body), ref.Size, pipeline.ErrCorrupt)
	}
	switch {
	case err == nil:
		return body, nil
	case errors.Is(err, pipeline.ErrCorrupt):
		return nil, pipeline.Fail(codeCorrupt, "the body is corrupt: %w", err).
			WithHint("waybill blob verify --store %s names the bad copies; put a good one there, then waybill queue retry", b.place)
	case errors.Is(err, context.Canceled):
		return nil, err
	}
	return nil, &pipeline.Error{Kind: pipeline.Unavailable, Code: codeUnavailable, Err: fmt.Errorf("the body cannot be read from %s: %w", b.place, err),
		Hint: "it is tried again; waybill queue cancel ends the item"}
}

// giveBack returns an item to its queue without losing an attempt, also when the
// run ends. If that fails its lease runs out.
func (b *bodies) giveBack(ctx context.Context, src pipeline.Source, it *pipeline.Item, cause error) {
	r := pipeline.Release{Refund: true, Cause: cause}
	if ctx.Err() == nil {
		r.After = b.missed(it.ID)
		b.log.Warn("item given back: "+cause.Error(), "item", it.ID, "code", pipeline.CodeOf(cause), "after", r.After)
	}
	ctx, stop := context.WithTimeout(context.WithoutCancel(ctx), giveBackTime)
	defer stop()
	if err := src.Nack(ctx, it, r); err != nil && !errors.Is(err, pipeline.ErrLeaseLost) {
		b.log.Warn("item not given back, its lease has to run out", "item", it.ID, "error", err)
	}
}

const (
	mostMisses  = 1024 // items whose misses are remembered
	longestMiss = 6    // doublings of the wait, from a second
)

// missed returns how long an item stays away: 1 s, doubled with each miss in a
// row up to a minute, half of it jittered.
func (b *bodies) missed(id string) time.Duration {
	b.mu.Lock()
	defer b.mu.Unlock()
	if len(b.misses) >= mostMisses {
		clear(b.misses)
	}
	if b.misses == nil {
		b.misses = map[string]int{}
	}
	wait := time.Second << min(b.misses[id], longestMiss)
	b.misses[id]++
	return wait/2 + rand.N(wait/2+1)
}

func (b *bodies) found(id string) {
	b.mu.Lock()
	defer b.mu.Unlock()
	delete(b.misses, id)
}

func (b *bodies) close() error {
	if b.store == nil {
		return nil
	}
	return b.store.Close()
}

// openBodies opens the store that the stage names, if it names one: it must be
// there, or a misspelt path would look like missing bodies.
func openBodies(ctx context.Context, c Config, env pipeline.Env) (*bodies, error) {
	b := &bodies{place: c.Bodies, log: env.Log}
	if b.log == nil {
		b.log = slog.New(slog.DiscardHandler)
	}
	if c.Bodies == "" {
		return b, nil
	}
	d, place, err := cas.CheckURL(c.objects, c.Bodies)
	if err != nil {
		return nil, fmt.Errorf("bodies: %w", err)
	}
	b.place = place
	if b.store, err = d.Open(ctx, c.Bodies, env.Dir, false); err != nil {
		return nil, fmt.Errorf("bodies: %w", err)
	}
	return b, nil
}
