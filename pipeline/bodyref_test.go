package pipeline

import (
	"encoding/json"
	"strings"
	"testing"
)

func TestBodyRef(t *testing.T) {
	ref := BodyRef{DigestOf([]byte("x")), 7}
	if got, err := ParseBodyRef(ref.String()); err != nil || got != ref {
		t.Errorf("%v became %v, %v", ref, got, err)
	}
	digest := string(ref.Digest)
	for _, bad := range []string{"", digest, digest + ";size=", digest + ";size=0", digest + ";size=-1", digest + ";size=+1",
		digest + ";size=67108865", digest + ";size=1 ", "sha256:abc;size=1", digest[7:] + ";size=1"} {
		if ref, err := ParseBodyRef(bad); err == nil || !strings.HasPrefix(err.Error(), MetaBody+": want") {
			t.Errorf("%q became %v, %v", bad, ref, err)
		}
	}
}

// What a program hands over is as strict as a line.
func TestReferenceOrBody(t *testing.T) {
	ref := BodyRef{DigestOf(nil), 1}.String()
	for want, it := range map[string]NewItem{
		"":                       {Meta: map[string]string{MetaBody: ref}},
		"a reference to another": {Meta: map[string]string{MetaBody: ref}, Body: json.RawMessage("1")},
		"meta.waybill.body":      {Meta: map[string]string{MetaBody: "x"}},
	} {
		err := it.Validate()
		if (err == nil) != (want == "") || err != nil && !strings.Contains(err.Error(), want) {
			t.Errorf("%v: %v, want %q", it.Meta, err, want)
		}
	}
}

func TestReadLargeItems(t *testing.T) {
	line := `{"body":"` + strings.Repeat("x", queued.line()) + `"}`
	for name, want := range map[string]struct {
		read   func() (NewItem, error)
		refuse string
	}{
		"small reader": {func() (NewItem, error) { return only(ReadItems(strings.NewReader(line), "x")) }, "longer than"},
		"large reader": {func() (NewItem, error) { return only(ReadLargeItems(strings.NewReader(line), "x")) }, ""},
	} {
		it, err := want.read()
		switch {
		case want.refuse == "" && (err != nil || len(it.Body) != queued.line()+2):
			t.Errorf("%s: %d bytes, %v", name, len(it.Body), err)
		case want.refuse != "" && (err == nil || !strings.Contains(err.Error(), want.refuse)):
			t.Errorf("%s: %v, want %q", name, err, want.refuse)
		}
	}
}

func only(items func(func(ItemLine, error) bool)) (it NewItem, err error) {
	for line, e := range items {
		it, err = line.NewItem, e
	}
	return it, err
}
