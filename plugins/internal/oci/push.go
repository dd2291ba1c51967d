package oci

import (
	"bytes"
	"context"
	"errors"
	"fmt"

	"oras.land/oras-go/v2/registry/remote"
	"oras.land/oras-go/v2/registry/remote/errcode"

	"github.com/waybill-dev/waybill/pipeline"
)

// Push uploads a module and lets the reference's tag stand for it. It returns
// what was pushed and the manifest's bytes. What the registry has already is not
// sent again.
func (c *Client) Push(ctx context.Context, ref Reference, m Module) (Artifact, []byte, error) {
	switch {
	case ref.Pinned() != "":
		return Artifact{}, nil, pipeline.Fail(CodeReference, "%s has a digest, which follows from the module: name a tag", ref)
	case len(m.WASM) > MaxModule:
		return Artifact{}, nil, pipeline.Fail(CodeArtifact, "the module has %d bytes, the limit is %d", len(m.WASM), MaxModule)
	}
	manifest, configuration, layer, err := layout(m)
	if err != nil {
		return Artifact{}, nil, err
	}
	repository := &remote.Repository{Client: c.http, Reference: ref.ref, PlainHTTP: loopback(ref.ref.Host())}
	for _, b := range []blob{layer, configuration} {
		if err := c.upload(ctx, repository, ref, b); err != nil {
			return Artifact{}, nil, err
		}
	}
	// Last, because a registry accepts a manifest only if it has what that names.
	if err := repository.PushReference(ctx, manifest.Descriptor, bytes.NewReader(manifest.content), ref.ref.Reference); err != nil {
		return Artifact{}, nil, pushFailed(ref, err)
	}
	a, err := ParseManifest(manifest.content)
	return a, manifest.content, err
}

// upload sends a blob unless it is there.
func (c *Client) upload(ctx context.Context, to *remote.Repository, ref Reference, b blob) error {
	switch there, err := to.Exists(ctx, b.Descriptor); {
	case err != nil:
		return pushFailed(ref, err)
	case there:
		return nil
	}
	return pushFailed(ref, to.Push(ctx, b.Descriptor, c.counting(bytes.NewReader(b.content), "pushing", ref, b.Size)))
}

func pushFailed(ref Reference, err error) error {
	var answer *errcode.ErrorResponse
	switch {
	case err == nil:
		return nil
	case errors.As(err, &answer) && len(answer.Errors) == 0:
		return refusal(ref, answer.StatusCode)
	case errors.As(err, &answer):
		var refused *pipeline.Error
		errors.As(refusal(ref, answer.StatusCode), &refused)
		refused.Code, refused.Err = CodeRegistry, fmt.Errorf("%w: %w", refused.Err, answer.Errors)
		return refused
	}
	return unreachable(ref, err)
}
