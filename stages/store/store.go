package store

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/waybill-dev/waybill/pipeline"
	"github.com/waybill-dev/waybill/stages/internal/cas"
	"github.com/waybill-dev/waybill/stages/internal/gridfs"
)

// Drivers returns the object store drivers that are built in. Each also opens a
// list of places.
func Drivers() []pipeline.ObjectDriver { return cas.WithLists(cas.Driver(), gridfs.Driver()) }

// Def returns the definition of the stage over these drivers; none means
// Drivers().
func Def(drivers ...pipeline.ObjectDriver) pipeline.Def {
	if len(drivers) == 0 {
		drivers = Drivers()
	}
	return pipeline.Define("store", "keeps results under their digest, on as many places as asked",
		Config{Copies: 1, What: []string{whatBody, whatArtifacts}, drivers: drivers}, New)
}

// Stage stores bodies and artifacts.
type Stage struct {
	cfg     Config
	env     pipeline.Env
	objects pipeline.Objects
}

var (
	_ pipeline.Batcher = (*Stage)(nil)
	_ pipeline.Starter = (*Stage)(nil)
	_ pipeline.Closer  = (*Stage)(nil)
)

// New makes the stage; Start opens the store.
func New(_ context.Context, cfg Config, env pipeline.Env) (*Stage, error) {
	if len(cfg.drivers) == 0 {
		cfg.drivers = Drivers()
	}
	if len(cfg.What) == 0 {
		cfg.What = []string{whatBody, whatArtifacts}
	}
	cfg.Copies = max(1, cfg.Copies)
	return &Stage{cfg: cfg, env: env}, nil
}

// Start opens the store and makes sure that it can be written to.
func (s *Stage) Start(ctx context.Context) (err error) {
	s.objects, err = cas.Open(ctx, s.cfg.drivers, s.cfg.To, s.env.Dir, s.cfg.Copies, true)
	return err
}

// Close closes the store.
func (s *Stage) Close() error {
	if s.objects == nil {
		return nil
	}
	return s.objects.Close()
}

// Batching implements pipeline.Batcher. A flush costs milliseconds, so waiting a
// few for company pays.
func (s *Stage) Batching() (max int, linger time.Duration) { return 64, 5 * time.Millisecond }

// Process stores one item.
func (s *Stage) Process(ctx context.Context, it *pipeline.Item) error {
	return s.ProcessBatch(ctx, []*pipeline.Item{it})[0]
}

// parcel is what one item hands in.
type parcel struct {
	blobs   []pipeline.Blob
	outputs []pipeline.Output
}

// size is what the item pays for, once for all copies.
func (p *parcel) size() (n int64) {
	for i := range p.outputs {
		n += p.outputs[i].Size
	}
	return n
}

// ProcessBatch stores several items with one flush.
func (s *Stage) ProcessBatch(ctx context.Context, items []*pipeline.Item) []error {
	errs := make([]error, len(items))
	parcels := make([]parcel, len(items))
	var all []pipeline.Blob
	for i, it := range items {
		if parcels[i], errs[i] = s.pack(it); errs[i] == nil {
			errs[i] = it.Budget.Reserve(pipeline.UnitIO, parcels[i].size())
		}
		if errs[i] == nil {
			all = append(all, parcels[i].blobs...)
		}
	}
	copies, err := s.put(ctx, all)
	for i, it := range items {
		if errs[i] != nil {
			continue
		}
		n, failed := copies, err
		if err != nil && len(items) > 1 {
			n, failed = s.put(ctx, parcels[i].blobs)
		}
		size := parcels[i].size()
		if failed != nil {
			it.Budget.Settle(pipeline.UnitIO, size, 0)
			errs[i] = storeError(failed)
			continue
		}
		it.Budget.Settle(pipeline.UnitIO, size, size)
		for _, o := range parcels[i].outputs {
			o.Copies = n
			it.Outputs = append(it.Outputs, o)
		}
	}
	return errs
}

func (s *Stage) put(ctx context.Context, blobs []pipeline.Blob) (int, error) {
	if len(blobs) == 0 {
		return 0, nil
	}
	n, err := s.objects.Put(ctx, blobs)
	if err == nil && n < s.cfg.Copies {
		err = fmt.Errorf("%d of %d copies acknowledged", n, s.cfg.Copies)
	}
	return n, err
}

// pack collects what the item stores.
func (s *Stage) pack(it *pipeline.Item) (parcel, error) {
	var p parcel
	for _, what := range s.cfg.What {
		switch what {
		case whatBody:
			if err := p.addBody(it); err != nil {
				return p, err
			}
		case whatArtifacts:
			for i := range it.Artifacts {
				p.addArtifact(&it.Artifacts[i])
			}
		default:
			a := it.Artifact(what)
			if a == nil {
				return p, pipeline.Fail("no-artifact", "the item has no artifact %q; it has %s", what, artifactNames(it))
			}
			p.addArtifact(a)
		}
	}
	return p, nil
}

func (p *parcel) addBody(it *pipeline.Item) error {
	b, err := it.Body.Bytes()
	if err != nil {
		return pipeline.Fail("bad-body", "%w", err)
	}
	media := it.Body.MediaType()
	if media == pipeline.MediaJSON {
		// JSON that has no canonical form without loss keeps its own bytes.
		if canonical, err := cas.Canonical(b); err == nil {
			b = canonical
		}
	}
	p.add("body", media, b)
	return nil
}

func (p *parcel) addArtifact(a *pipeline.Artifact) {
	media := a.MediaType
	if media == "" {
		media = pipeline.MediaBinary
	}
	p.add(a.Name, media, a.Data)
}

func (p *parcel) add(name, media string, data []byte) {
	if slices.ContainsFunc(p.outputs, func(o pipeline.Output) bool { return o.Name == name }) {
		return
	}
	d := pipeline.DigestOf(data)
	p.blobs = append(p.blobs, pipeline.Blob{Digest: d, MediaType: media, Data: data})
	p.outputs = append(p.outputs, pipeline.Output{Name: name, MediaType: media, Digest: d, Size: int64(len(data))})
}

func artifactNames(it *pipeline.Item) string {
	if len(it.Artifacts) == 0 {
		return "none"
	}
	var names []string
	for _, a := range it.Artifacts {
		names = append(names, a.Name)
	}
	return strings.Join(names, ", ")
}

// storeError adds kind and code where the store gave none. A damaged object
// stays damaged however often an item comes back.
func storeError(err error) error {
	var typed *pipeline.Error
	switch {
	case errors.As(err, &typed), errors.Is(err, context.Canceled), errors.Is(err, context.DeadlineExceeded):
		return err
	case errors.Is(err, pipeline.ErrCorrupt):
		return pipeline.Fail("corrupt", "%w", err).WithHint("the object was there before and is damaged; nothing overwrites it silently")
	}
	return pipeline.Again("store", "%w", err)
}
