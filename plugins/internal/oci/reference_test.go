package oci

import (
	"strings"
	"testing"

	"github.com/waybill-dev/waybill/pipeline"
)

var (
	someDigest  = pipeline.DigestOf([]byte("some"))
	otherDigest = pipeline.DigestOf([]byte("other"))
)

func TestParse(t *testing.T) {
	tests := []struct {
		text, want, name string
		pinned           pipeline.Digest
	}{
		{"oci://registry.example.com/kernels/readable:1.0", "oci://registry.example.com/kernels/readable:1.0", "readable", ""},
		{"oci://localhost:5000/demo:dev", "oci://localhost:5000/demo:dev", "demo", ""},
		{"oci://[::1]:5000/demo:dev", "oci://[::1]:5000/demo:dev", "demo", ""},
		{"oci://r.example.com/demo@" + string(someDigest), "oci://r.example.com/demo@" + string(someDigest), "demo", someDigest},
		{"oci://r.example.com/demo:1.0@" + string(someDigest), "oci://r.example.com/demo@" + string(someDigest), "demo", someDigest},
	}
	for _, tt := range tests {
		ref, err := Parse(tt.text)
		if err != nil || ref.String() != tt.want || ref.Name() != tt.name || ref.Pinned() != tt.pinned {
			t.Errorf("%s is %s (%s, %s), %v", tt.text, ref, ref.Name(), ref.Pinned(), err)
		}
		if at := ref.At(otherDigest); at.Pinned() != otherDigest || !strings.HasSuffix(at.String(), "/"+strings.TrimPrefix(at.ref.Repository, "/")+"@"+string(otherDigest)) {
			t.Errorf("%s at another manifest is %s", tt.text, at)
		}
	}
}

func TestParseRefuses(t *testing.T) {
	for text, want := range map[string]string{
		"":                                     "does not begin with oci://",
		"oci:registry.example.com/demo:1":      "does not begin with oci://",
		"https://registry.example.com/demo:1":  "does not begin with oci://",
		"oci://demo:1":                         "missing registry or repository",
		"oci://r.example.com/demo":             "neither tag nor digest",
		"oci://r.example.com/demo:":            "neither tag nor digest",
		"oci://r.example.com/Demo:1":           "invalid repository",
		"oci://r.example.com/../demo:1":        "invalid repository",
		"oci://r.example.com/demo:a/b":         "invalid",
		"oci://user:word@r.example.com/demo:1": "invalid registry",
		"oci://r.example.com/demo@sha256:00":   "invalid digest",
		"oci://r.example.com/demo@sha512:" + strings.Repeat("0", 128): "digest",
	} {
		_, err := Parse(text)
		wantCode(t, err, CodeReference, want)
	}
}

// Nothing but a reference that reads as itself is accepted.
func FuzzParse(f *testing.F) {
	for _, s := range []string{"oci://r.example.com/a/b:1", "oci://localhost:5000/a@" + string(someDigest), "oci://[::1]/a:b", "oci:///:"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, text string) {
		ref, err := Parse(text)
		if err != nil {
			return
		}
		again, err := Parse(ref.String())
		if err != nil || again != ref {
			t.Errorf("%q reads as %s, that as %s, %v", text, ref, again, err)
		}
	})
}
