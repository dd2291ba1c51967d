package mongodb

import (
	"testing"

	"github.com/waybill-dev/waybill/pipeline"
)

// What the options share with those of the object store is tested in
// stages/internal/mongoconn.
func TestParseTarget(t *testing.T) {
	for raw, want := range map[string]target{
		"mongodb://host/jobs": {prefix: "waybill_", lanes: 1},
		"mongodb://a:1,b:2/jobs?replicaSet=rs0&waybill.prefix=x.&w=1&waybill.lanes=16": {prefix: "x.", lanes: 16},
	} {
		got, err := parseTarget(raw)
		if err != nil || got.prefix != want.prefix || got.lanes != want.lanes {
			t.Errorf("%s: %+v, error %v", raw, got, err)
		}
	}
}

func TestParseTargetRefuses(t *testing.T) {
	for _, options := range []string{
		"waybill.lanes=0", "waybill.lanes=many", "waybill.lanes=17", "waybill.prefix=", "waybill.prefix=system.", "waybill.bucket=objects",
	} {
		if _, err := parseTarget("mongodb://host/jobs?" + options); pipeline.CodeOf(err) != "bad-url" {
			t.Errorf("%s: %v; want bad-url", options, err)
		}
	}
}
