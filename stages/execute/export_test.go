package execute

import (
	"github.com/waybill-dev/waybill/cdp"
	"github.com/waybill-dev/waybill/pipeline"
)

// SetPool gives a stage the browsers that Start would have launched.
func SetPool(s pipeline.Stage, p *cdp.Pool) { s.(*stage).pool = p }

// New makes the stage without its definition.
func New(cfg Config, env pipeline.Env) pipeline.Stage { return &stage{cfg: cfg, env: env} }
