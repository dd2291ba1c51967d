package runtime_test

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/waybill-dev/waybill/pipeline"
	"github.com/waybill-dev/waybill/runtime"
)

// TestSecretsStayInside: what a stage quotes in its error reaches neither the
// queue, nor the witness, nor an observer; what the error means stays.
func TestSecretsStayInside(t *testing.T) {
	const secret = "hunter2-hunter2"
	leak := fmt.Errorf("GET https://x:%s@example.com/: %w", secret, fs.ErrPermission)
	errs := map[string]error{
		"plain":    leak,
		"typed":    &pipeline.Error{Kind: pipeline.Permanent, Code: "http", Err: leak, Hint: "is " + secret + " right?"},
		"wrapped":  fmt.Errorf("outer: %w", &pipeline.Error{Kind: pipeline.Permanent, Code: "http", Err: leak}),
		"retry":    &pipeline.Error{Kind: pipeline.Retry, Code: "http", Err: leak, After: time.Minute},
		"skipping": &pipeline.Error{Kind: pipeline.Skip, Code: "http", Err: leak},
	}
	for name, cause := range errs {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				q := newQueue(t, 1)
				n := newNotary()
				check := func(where string, err error) {
					if err == nil || strings.Contains(fmt.Sprintf("%v %+v", err, err), secret) || !strings.Contains(err.Error(), "[redacted]@example.com") {
						t.Errorf("%s: %v", where, err)
					}
					if !errors.Is(err, fs.ErrPermission) || pipeline.CodeOf(err) != pipeline.CodeOf(cause) || pipeline.KindOf(err) != pipeline.KindOf(cause) {
						t.Errorf("%s: %v is another error now", where, err)
					}
				}
				p := plan(1, source(q), stage("a", func(context.Context, *pipeline.Item) error { return cause }), with("notary", witnessing{n, check}))
				p.Secrets = []string{secret}
				p.Run.Retry.Attempts = 2
				o := runtime.Options{UntilEmpty: true, Log: quiet(), Observer: runtime.Observer{
					StageDone: func(_ *pipeline.Item, _ string, _ time.Duration, err error) { check("observer", err) }}}
				if _, err := runtime.Run(context.Background(), p, o); err != nil {
					t.Fatal(err)
				}
				r := q.row("i000")
				check("outcome", r.outcome.Cause)
				for _, rel := range r.releases {
					check("release", rel.Cause)
				}
			})
		})
	}
}

// witnessing looks at what the witness is told.
type witnessing struct {
	*notary
	check func(where string, err error)
}

func (w witnessing) Commit(ctx context.Context, it *pipeline.Item, o pipeline.Outcome) error {
	w.check("commit", o.Cause)
	return w.notary.Commit(ctx, it, o)
}
