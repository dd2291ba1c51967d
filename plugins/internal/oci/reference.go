package oci

import (
	"path"
	"strings"

	"oras.land/oras-go/v2/registry"

	"github.com/waybill-dev/waybill/pipeline"
)

const prefix = "oci://"

// CodeReference: text that is no reference to an artifact.
const CodeReference = "bad-url"

// Reference names an artifact in a registry by tag or by digest.
type Reference struct {
	ref    registry.Reference
	pinned pipeline.Digest // of the manifest; "" if a tag names it
}

// Parse reads oci://registry/name:tag or oci://registry/name@sha256:... . With
// both, the digest counts.
func Parse(text string) (Reference, error) {
	fail := func(why string) (Reference, error) {
		return Reference{}, pipeline.Fail(CodeReference, "%q is no reference to an artifact: %s", text, why).
			WithHint("for example oci://registry.example.com/kernels/readable:1.0")
	}
	rest, ok := strings.CutPrefix(text, prefix)
	if !ok {
		return fail("it does not begin with " + prefix)
	}
	ref, err := registry.ParseReference(rest)
	switch {
	case err != nil:
		return fail(strings.TrimPrefix(err.Error(), "invalid reference: "))
	case ref.Reference == "":
		return fail("it has neither tag nor digest")
	case !strings.Contains(ref.Reference, ":"):
		return Reference{ref: ref}, nil
	}
	digest, err := pipeline.ParseDigest(ref.Reference)
	if err != nil {
		return fail(err.Error())
	}
	return Reference{ref, digest}, nil
}

// Pinned returns the digest of the manifest that the reference names, "" if it
// has a tag.
func (r Reference) Pinned() pipeline.Digest { return r.pinned }

// At returns the reference to that manifest in the same repository.
func (r Reference) At(manifest pipeline.Digest) Reference {
	r.ref.Reference, r.pinned = string(manifest), manifest
	return r
}

// Name is the last part of the repository, without tag or digest.
func (r Reference) Name() string { return path.Base(r.ref.Repository) }

// String returns oci://registry/name:tag or oci://registry/name@sha256:... .
func (r Reference) String() string { return prefix + r.ref.String() }
