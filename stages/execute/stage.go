package execute

import (
	"context"
	"errors"
	"fmt"
	"path/filepath"
	"strings"
	"sync"

	"github.com/waybill-dev/waybill/cdp"
	"github.com/waybill-dev/waybill/pipeline"
)

// Def returns the definition of the stage.
func Def() pipeline.Def {
	return pipeline.Define("execute", "visits a page with a real browser and reads what it shows", defaults(), newStage)
}

// stage runs the steps of its config for each item, in a session of its own.
type stage struct {
	cfg Config
	env pipeline.Env

	pool      *cdp.Pool // made by Start
	closeOnce sync.Once
}

var (
	_ pipeline.Stage   = (*stage)(nil)
	_ pipeline.Starter = (*stage)(nil)
	_ pipeline.Closer  = (*stage)(nil)
)

func newStage(_ context.Context, cfg Config, env pipeline.Env) (*stage, error) {
	return &stage{cfg: cfg, env: env}, nil
}

// Start finds the browser and launches the first one, so that a missing or
// unusable one ends the run before anything is claimed.
func (s *stage) Start(ctx context.Context) error {
	path := s.cfg.Browser.Path
	if strings.Contains(path, "/") && !filepath.IsAbs(path) {
		path = filepath.Join(s.env.Dir, path)
	}
	bin, err := cdp.Find(path)
	if err != nil {
		return &pipeline.Error{Kind: pipeline.Permanent, Code: "no-browser", Err: err}
	}
	if s.pool, err = cdp.NewPool(s.cfg.options(bin, s.env)); err != nil {
		return &pipeline.Error{Kind: pipeline.Permanent, Code: "no-browser", Err: err}
	}
	if _, err := s.pool.Start(ctx); err != nil {
		e := &pipeline.Error{Kind: pipeline.Permanent, Code: "browser-unavailable", Err: err}
		switch {
		case errors.Is(err, cdp.ErrSandbox):
			e.Code = "no-sandbox"
		case errors.Is(err, cdp.ErrProfiles):
			e.Hint = profilesHint
		}
		return e
	}
	return nil
}

// Close kills the browsers and removes their profiles.
func (s *stage) Close() (err error) {
	s.closeOnce.Do(func() {
		if s.pool != nil {
			err = s.pool.Close()
		}
	})
	return err
}

// Process runs the steps in a new session.
func (s *stage) Process(ctx context.Context, it *pipeline.Item) error {
	if s.pool == nil {
		return pipeline.Fail("not-started", "the stage was not started")
	}
	session, err := s.pool.Acquire(ctx)
	if err != nil {
		return acquireError(ctx, err)
	}
	defer session.Close()
	it.DependOn(dependency(session.Build()))
	v := &visit{item: it, session: session, max: int64(s.cfg.MaxBytes)}
	for i := range s.cfg.Steps {
		if err := s.step(ctx, v, &s.cfg.Steps[i]); err != nil {
			return err
		}
	}
	return nil
}

// step runs one step under its deadline.
func (s *stage) step(ctx context.Context, v *visit, st *Step) error {
	timeout := st.Timeout
	if timeout == 0 {
		timeout = s.cfg.StepTimeout
	}
	stepCtx, cancel := context.WithTimeout(ctx, timeout.D())
	defer cancel()
	err := st.action.run(stepCtx, v)
	if err == nil {
		return nil
	}
	failed := st.failure(ctx, err)
	if st.Optional && ctx.Err() == nil && v.session.Err() == nil && failed.Code != "budget-exceeded" {
		if s.env.Log != nil {
			s.env.Log.DebugContext(ctx, "optional step failed", "step", st.Name, "line", st.Pos.Line, "item", v.item.ID, "error", failed)
		}
		return nil
	}
	return failed
}

// dependency names the browser build for the receipt.
func dependency(b cdp.Build) pipeline.Dependency {
	name, version, _ := strings.Cut(b.Product, "/")
	return pipeline.Dependency{
		Name: "browser",
		URI:  fmt.Sprintf("pkg:generic/%s@%s", strings.ToLower(name), version),
		Annotations: map[string]string{
			"product":  b.Product,
			"version":  version,
			"revision": strings.TrimPrefix(b.Revision, "@"),
			"binary":   b.Binary,
			"flags":    b.Flags,
		},
	}
}
