package witness

import (
	"context"
	"errors"
	"fmt"
	"path/filepath"
	"time"

	"github.com/waybill-dev/waybill/pipeline"
	"github.com/waybill-dev/waybill/stages/internal/cas"
	"github.com/waybill-dev/waybill/stages/internal/durable"
	"github.com/waybill-dev/waybill/stages/witness/internal/translog"
)

// maxBatch is the largest batch: the entries of one full tile.
const maxBatch = 256

// Def returns the definition of the stage.
func Def() pipeline.Def {
	return pipeline.Define("witness", "signs a receipt for each item and appends it to a tamper-evident log", Config{}, New)
}

// Stage witnesses items.
type Stage struct {
	cfg  Config
	env  pipeline.Env
	now  func() time.Time
	step func(done string) // tests kill the process there

	objects  *cas.Layout
	log      *translog.Log
	receipts receipts
}

var (
	_ pipeline.Batcher   = (*Stage)(nil)
	_ pipeline.Committer = (*Stage)(nil)
	_ pipeline.Starter   = (*Stage)(nil)
	_ pipeline.Closer    = (*Stage)(nil)
)

// New makes the stage; Start opens the log.
func New(_ context.Context, cfg Config, env pipeline.Env) (*Stage, error) {
	return &Stage{cfg: cfg, env: env, now: time.Now, step: func(string) {}}, nil
}

// Start opens the log, makes the key if there is none, and finishes what an
// earlier crash left unfinished.
func (s *Stage) Start(ctx context.Context) error {
	dir, err := pipeline.FilePath(s.cfg.Log, s.env.Dir)
	if err != nil {
		return err
	}
	key, err := pipeline.FilePath(s.cfg.Key, s.env.Dir)
	if err != nil {
		return err
	}
	objects := filepath.Join(dir, objectsDir)
	if s.objects, err = cas.OpenLayout("file:"+objects, objects, true); err != nil {
		return err
	}
	s.objects.OnStep(s.step)
	s.log, err = translog.Open(translog.Options{Dir: dir, Key: key, Origin: s.cfg.Origin, Step: s.step})
	if err != nil {
		return err
	}
	s.receipts = receipts{dir: dir, writer: durable.Writer{Temp: filepath.Join(dir, translog.StateDir), Step: s.step}}
	if err := s.receipts.restore(s.log); err != nil {
		return fmt.Errorf("log %s: %w", dir, err)
	}
	if s.env.Log != nil {
		s.env.Log.InfoContext(ctx, "witness", "log", dir, "key", s.log.VKey())
	}
	return nil
}

// Close closes the log.
func (s *Stage) Close() error {
	var errs []error
	if s.log != nil {
		errs = append(errs, s.log.Close())
	}
	if s.objects != nil {
		errs = append(errs, s.objects.Close())
	}
	return errors.Join(errs...)
}

// Batching implements pipeline.Batcher. The disk is waited for four times per
// batch, whatever its size.
func (s *Stage) Batching() (max int, linger time.Duration) { return maxBatch, 10 * time.Millisecond }

// Process witnesses one item as succeeded.
func (s *Stage) Process(ctx context.Context, it *pipeline.Item) error {
	return s.ProcessBatch(ctx, []*pipeline.Item{it})[0]
}

// ProcessBatch witnesses items as succeeded, under one checkpoint.
func (s *Stage) ProcessBatch(ctx context.Context, items []*pipeline.Item) []error {
	return s.witness(ctx, items, pipeline.Outcome{Result: pipeline.Succeeded})
}

// Commit witnesses an end that Process has not seen: a failure, a skipped item,
// or a parent whose children have ended.
func (s *Stage) Commit(ctx context.Context, it *pipeline.Item, o pipeline.Outcome) error {
	return s.witness(ctx, []*pipeline.Item{it}, o)[0]
}

// witness makes the receipts of a batch, every step durable before the next.
func (s *Stage) witness(ctx context.Context, items []*pipeline.Item, o pipeline.Outcome) []error {
	errs := make([]error, len(items))
	drafts := make([]*draft, 0, len(items))
	at := make([]int, 0, len(items)) // at[j] is the item of draft j
	now := s.now()
	for i, it := range items {
		d, err := compose(it, o, s.env.Run, now)
		if err != nil {
			errs[i] = err
			continue
		}
		drafts, at = append(drafts, d), append(at, i)
	}
	for j, err := range s.commit(ctx, drafts) {
		i := at[j]
		if errs[i] = err; err == nil {
			items[i].Receipt = drafts[j].digest
		}
	}
	return errs
}

// commit makes drafts durable: statements, then entries and checkpoint, then
// receipts. It returns one error per draft.
func (s *Stage) commit(ctx context.Context, drafts []*draft) []error {
	errs := make([]error, len(drafts))
	if len(drafts) == 0 {
		return errs
	}
	var blobs []pipeline.Blob
	statements := make([]*Statement, len(drafts))
	entries := make([][]byte, len(drafts))
	for j, d := range drafts {
		blobs = append(blobs, d.blobs...)
		statements[j], entries[j] = &d.about, d.bytes
	}
	err := func() error {
		if _, err := s.objects.Put(ctx, blobs); err != nil {
			return err
		}
		s.step("statements")
		return s.log.Append(entries, func(proofs []translog.Proof) (err error) {
			errs, err = s.receipts.write(statements, proofs)
			return err
		})
	}()
	s.step("receipts")
	if err != nil {
		for j := range errs {
			errs[j] = commitError(err)
		}
	}
	return errs
}

// commitError gives a failure the kind that the engine acts on.
func commitError(err error) error {
	var typed *pipeline.Error
	switch {
	case errors.As(err, &typed):
		return err
	case errors.Is(err, translog.ErrForked), errors.Is(err, pipeline.ErrCorrupt):
		return pipeline.Fail("log-damaged", "%w", err).WithHint("waybill verify names the damage")
	}
	return durable.WriteError("the log cannot be written", err, pipeline.Retry, "witness")
}
