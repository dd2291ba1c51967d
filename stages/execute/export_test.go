package execute

import (
	"strconv"

	"github.com/waybill-dev/waybill/cdp"
	"github.com/waybill-dev/waybill/pipeline"
)

// SetPool gives a stage the browsers that Start would have launched.
func SetPool(s pipeline.Stage, p *cdp.Pool) { s.(*stage).pool = p }

// New makes the stage without its definition.
func New(cfg Config, env pipeline.Env) pipeline.Stage { return &stage{cfg: cfg, env: env} }

// ForgetsRenewal fills the logins of a stage up while one is being renewed, and
// reports whether that one was forgotten: another item would log in beside it.
func ForgetsRenewal() bool {
	var l logins
	busy := l.of("busy")
	busy.renewing = make(chan struct{})
	for i := range 2 * maxLogins {
		l.of(strconv.Itoa(i))
	}
	return l.of("busy") != busy
}
