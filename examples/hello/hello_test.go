// Package hello tests the example of the same name.
package hello

import (
	"bytes"
	"context"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/waybill-dev/waybill/runtime/cli"
	"github.com/waybill-dev/waybill/stages"
)

func TestHello(t *testing.T) {
	t.Setenv("WAYBILL_CACHE", t.TempDir())
	t.Setenv("WAYBILL_RUNTIME_DIR", t.TempDir())
	var stdout, stderr bytes.Buffer
	parts := cli.Parts{Defs: stages.All(), Queues: stages.Queues(), Objects: stages.Stores()}
	code := cli.Run(context.Background(), parts, []string{"run", "pipeline.yaml", "--until-empty"}, strings.NewReader(""), &stdout, &stderr)
	if code != 0 {
		t.Fatalf("exit code %d: %s", code, stderr.String())
	}
	lines := strings.Split(strings.TrimSpace(stdout.String()), "\n")
	slices.Sort(lines) // items may overtake each other
	want := []string{`{"greeting":"Hello, Ada!"}`, `{"greeting":"Hello, Barbara!"}`, `{"greeting":"Hello, Grace!"}`}
	if diff := cmp.Diff(want, lines); diff != "" {
		t.Errorf("output (-want +got):\n%s", diff)
	}
}
