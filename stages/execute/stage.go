package execute

import (
	"context"
	"errors"
	"fmt"
	"path/filepath"
	"slices"
	"strings"
	"sync"

	"github.com/waybill-dev/waybill/cdp"
	"github.com/waybill-dev/waybill/cdp/egress"
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

	egress    *egress.Proxy // made by Start, as is the pool
	pool      *cdp.Pool
	archives  archives
	logins    logins
	failed    failedItems
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
	var bin cdp.Binary
	var err error
	if s.cfg.Browser.Endpoint == "" {
		bin, err = cdp.Find(path)
	}
	if err != nil {
		return &pipeline.Error{Kind: pipeline.Permanent, Code: "no-browser", Err: err}
	}
	if s.egress, err = egress.New(s.cfg.Network.policy()); err != nil {
		return &pipeline.Error{Kind: pipeline.Permanent, Code: "bad-network", Err: err}
	}
	if s.cfg.Browser.Sandbox == "off" && s.env.Log != nil {
		s.env.Log.WarnContext(ctx, "the browser runs without its sandbox: a page that breaks out of it has the rights of this process")
	}
	o := s.cfg.options(bin, s.env)
	o.Egress = s.egress
	if slices.Contains(s.cfg.Capture, captureTrace) {
		o.PerBrowser = 1 // a browser makes one trace at a time
		o.NoSpare = true // a trace waits up to 15 s for the process of a page that is opened while it ends
	}
	if s.pool, err = cdp.NewPool(o); err != nil {
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
		if s.egress != nil {
			err = errors.Join(err, s.egress.Close())
		}
	})
	return err
}

// Process runs the steps in a new session.
func (s *stage) Process(ctx context.Context, it *pipeline.Item) error {
	if s.pool == nil {
		return pipeline.Fail("not-started", "the stage was not started")
	}
	request, err := s.cfg.request(it, s.env)
	if err != nil {
		return err
	}
	session, err := s.pool.Lease(ctx, request)
	if err != nil {
		return acquireError(ctx, err)
	}
	defer session.Close()
	it.DependOn(dependency(session.Build()))
	v := &visit{item: it, session: session, max: int64(s.cfg.MaxBytes), stage: s}
	defer v.restore(ctx)
	return v.network(ctx, func(ctx context.Context) error { return v.runLoggedIn(ctx) })
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
