package mongoconn

import (
	"errors"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
	"github.com/waybill-dev/waybill/pipeline"
)

func parse(raw string) (Target, error) {
	return Parse(raw, Options{"colour": func(value string) error {
		if value != "red" {
			return errors.New("is not red")
		}
		return nil
	}})
}

func TestParse(t *testing.T) {
	for raw, want := range map[string]Target{
		"mongodb://host/jobs": {URI: "mongodb://host/jobs?", Shown: "mongodb://host/jobs", Name: "jobs"},
		"mongodb://a:1,b:2/jobs?replicaSet=rs0&waybill.colour=red&w=1": {
			URI: "mongodb://a:1,b:2/jobs?replicaSet=rs0&w=1", Shown: "mongodb://a:1,b:2/jobs", Name: "jobs"},
		"mongodb://me:s3cr%40t@host:27018/jobs?authSource=admin": {
			URI: "mongodb://me:s3cr%40t@host:27018/jobs?authSource=admin", Shown: "mongodb://host:27018/jobs", Name: "jobs", user: "me", secret: "s3cr%40t"},
		"mongodb://host/jobs?waybill.passwordFile=p&tlsCertificateKeyFilePassword=Opn": {
			URI: "mongodb://host/jobs?tlsCertificateKeyFilePassword=Opn", Shown: "mongodb://host/jobs", Name: "jobs",
			passwordFile: "p", private: []string{"Opn"}},
		"mongodb://me@host/jobs?waybill.passwordFile=var%2Fp": {
			URI: "mongodb://me@host/jobs?", Shown: "mongodb://host/jobs", Name: "jobs", user: "me", passwordFile: "var/p"},
	} {
		got, err := parse(raw)
		if d := cmp.Diff(want, got, cmp.AllowUnexported(Target{}), cmpopts.IgnoreFields(Target{}, "own")); d != "" || err != nil {
			t.Errorf("%s: error %v (-want +got):\n%s", raw, err, d)
		}
	}
}

func TestParseRefuses(t *testing.T) {
	const secret = "hunter2"
	for _, raw := range []string{
		"mongodb:host/jobs", "mongodb://me:hunter2@host", "mongodb://me:hunter2@host/", "mongodb://me:hunter2@/jobs", "mongodb://me:?hunter2@host/jobs", "mongodb://me:hunter2?x@host/jobs", "mongodb://me:/hunter2?x@host/jobs", "mongodb://me:hunter2/x@host/jobs", "mongodb://me:hunter2@host/a/b",
		"mongodb://me:hunter2@host/jobs?waybill.colour=blue", "mongodb://me:hunter2@host/jobs?waybill.colour=%zz",
		"mongodb://me:hunter2@host/jobs?waybill.size=1", "mongodb://me:hunter2@host/jobs?replicSet=rs0", "mongodb://me:hunter2@host/jobs?waybill.passwordFile=",
	} {
		_, err := parse(raw)
		var typed *pipeline.Error
		if !errors.As(err, &typed) || typed.Code != "bad-url" || strings.Contains(err.Error(), secret) ||
			!strings.HasSuffix(typed.Hint, "waybill.colour, waybill.passwordFile") {
			t.Errorf("%s: %v; want bad-url, without the password, and a hint with the options there are", raw, err)
		}
	}
}

// What the driver cannot read it quotes, and it may be the password.
func TestConnectHidesThePassword(t *testing.T) {
	const secret = "hunter2"
	target, err := parse("mongodb://me:%zz" + secret + "@host/jobs")
	if err == nil {
		_, err = target.Connect("queue", "", Settings{})
	}
	if pipeline.CodeOf(err) != "bad-url" || strings.Contains(err.Error(), secret) {
		t.Errorf("%v; want bad-url without the password", err)
	}
}

func TestHide(t *testing.T) {
	target, err := parse("mongodb://me:p%40ss@host/jobs?tlsCertificateKeyFilePassword=Opn")
	if err != nil {
		t.Fatal(err)
	}
	got := target.Hide(errors.New("p@ss, p%40ss and Opn are wrong")).Error()
	if got != "***, *** and *** are wrong" {
		t.Error(got)
	}
}
