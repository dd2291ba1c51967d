package examples

import (
	"net/http/httptest"
	"os"
	"regexp"
	"slices"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/waybill-dev/waybill/pipeline"
	"github.com/waybill-dev/waybill/runtime/telemetry"
)

// The operators' page lists the metrics that are served, all of them and no
// others.
func TestMetricsAreDocumented(t *testing.T) {
	page, err := os.ReadFile("../docs/operating.md")
	if err != nil {
		t.Fatal(err)
	}
	documented := names(regexp.MustCompile("(?m)^\\| `(waybill_[a-z_]+)`"), string(page))

	full := telemetry.Reading{Pipeline: "p", Queue: "q", Depth: &pipeline.QueueStats{Ready: 1}, Workers: 1, Items: map[string]int64{"succeeded": 1},
		Stages: []telemetry.StageReading{{Name: "s", Errors: map[string]int64{"timeout": 1}}}}
	w := httptest.NewRecorder()
	telemetry.Handler(func() telemetry.Reading { return full }).ServeHTTP(w, httptest.NewRequest("GET", "/metrics", nil))
	served := names(regexp.MustCompile(`(?m)^# TYPE (waybill_[a-z_]+)`), w.Body.String())

	if diff := cmp.Diff(served, documented); diff != "" {
		t.Errorf("docs/operating.md (-served +documented):\n%s", diff)
	}
}

func names(re *regexp.Regexp, text string) []string {
	var out []string
	for _, m := range re.FindAllStringSubmatch(text, -1) {
		out = append(out, m[1])
	}
	slices.Sort(out)
	return out
}
