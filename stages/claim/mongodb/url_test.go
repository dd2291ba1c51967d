package mongodb

import (
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/waybill-dev/waybill/pipeline"
)

func TestParseTarget(t *testing.T) {
	for raw, want := range map[string]target{
		"mongodb://host/jobs": {uri: "mongodb://host/jobs?", shown: "mongodb://host/jobs", db: "jobs", prefix: "waybill_", lanes: 1},
		"mongodb://a:1,b:2/jobs?replicaSet=rs0&waybill.prefix=x.&w=1&waybill.lanes=16": {
			uri: "mongodb://a:1,b:2/jobs?replicaSet=rs0&w=1", shown: "mongodb://a:1,b:2/jobs", db: "jobs", prefix: "x.", lanes: 16},
		"mongodb://me:s3cr%40t@host:27018/jobs?authSource=admin": {
			uri: "mongodb://me:s3cr%40t@host:27018/jobs?authSource=admin", shown: "mongodb://host:27018/jobs", db: "jobs", prefix: "waybill_", lanes: 1, secret: "s3cr%40t"},
	} {
		got, err := parseTarget(raw)
		if d := cmp.Diff(want, got, cmp.AllowUnexported(target{})); d != "" || err != nil {
			t.Errorf("%s: error %v (-want +got):\n%s", raw, err, d)
		}
	}
}

func TestParseTargetRefuses(t *testing.T) {
	const secret = "hunter2"
	for _, raw := range []string{
		"mongodb:host/jobs", "mongodb://me:hunter2@host", "mongodb://me:hunter2@host/", "mongodb://me:hunter2@/jobs", "mongodb://me:hunter2@host/a/b",
		"mongodb://me:hunter2@host/jobs?waybill.lanes=0", "mongodb://me:hunter2@host/jobs?waybill.lanes=many", "mongodb://me:hunter2@host/jobs?waybill.prefix=",
		"mongodb://me:hunter2@host/jobs?waybill.prefix=%zz", "mongodb://me:hunter2@host/jobs?waybill.prefix=system.", "mongodb://me:hunter2@host/jobs?waybill.colour=red",
	} {
		_, err := parseTarget(raw)
		if pipeline.CodeOf(err) != "bad-url" || strings.Contains(err.Error(), secret) {
			t.Errorf("%s: %v; want bad-url without the password", raw, err)
		}
	}
}
