package execute

import (
	"context"
	"errors"
	"fmt"

	"github.com/waybill-dev/waybill/cdp"
	"github.com/waybill-dev/waybill/pipeline"
)

// Probe finds a browser and launches it, for doctor.
func Probe() pipeline.Probe {
	return pipeline.Probe{Name: "browser", Run: probe}
}

func probe(ctx context.Context, env pipeline.Env) pipeline.Finding {
	bin, err := cdp.Find("")
	if err != nil {
		return pipeline.Finding{Status: "fail", Detail: err.Error(), Hint: cdp.Install}
	}
	r, err := cdp.Check(ctx, cdp.Options{Binary: bin, Dir: profiles(env)})
	switch {
	case errors.Is(err, cdp.ErrSandbox):
		return pipeline.Finding{Status: "fail", Detail: err.Error(), Hint: "fix the sandbox, or say browser: { sandbox: off } in the stage"}
	case errors.Is(err, cdp.ErrProfiles):
		return pipeline.Finding{Status: "fail", Detail: err.Error(), Hint: profilesHint}
	case err != nil:
		return pipeline.Finding{Status: "fail", Detail: err.Error(), Hint: "reinstall it, or name another in " + cdp.EnvChrome}
	case !r.Sandboxed:
		return pipeline.Finding{Status: "warn", Detail: fmt.Sprintf("%s (%s): %s", bin.Path, r.Product, r.Detail), Hint: "the sandbox could not be confirmed"}
	}
	return pipeline.Finding{Status: "ok", Detail: fmt.Sprintf("%s (%s): %s", bin.Path, r.Product, r.Detail)}
}
