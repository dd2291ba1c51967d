package oci

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"

	ocispec "github.com/opencontainers/image-spec/specs-go/v1"
	"oras.land/oras-go/v2/registry/remote/auth"

	"github.com/waybill-dev/waybill/pipeline"
)

// Resolve asks for the manifest that a reference names and returns what it says
// and its bytes. What a tag stands for is the registry's word; a digest is
// checked.
func (c *Client) Resolve(ctx context.Context, ref Reference) (Artifact, []byte, error) {
	raw, err := c.get(ctx, ref, "manifests/"+ref.ref.Reference, ocispec.MediaTypeImageManifest, maxManifest)
	if err != nil {
		return Artifact{}, nil, err
	}
	if want := ref.Pinned(); want != "" {
		if err := verify(ref, "manifest", want, raw); err != nil {
			return Artifact{}, nil, err
		}
	}
	a, err := ParseManifest(raw)
	var refused *pipeline.Error
	if errors.As(err, &refused) {
		err = pipeline.Fail(refused.Code, "%s: %w", ref, refused.Err).WithHint("%s", refused.Hint)
	}
	return a, raw, err
}

// Fetch downloads the module of an artifact; ref names its repository.
func (c *Client) Fetch(ctx context.Context, ref Reference, a Artifact) ([]byte, error) {
	if a.Size > MaxModule {
		return nil, pipeline.Fail(CodeArtifact, "%s: the module has %d bytes, the limit is %d", ref, a.Size, MaxModule)
	}
	wasm, err := c.get(ctx, ref, "blobs/"+string(a.Digest), "", a.Size)
	if err != nil {
		return nil, err
	}
	return wasm, verify(ref, "module", a.Digest, wasm)
}

// verify compares content with its digest.
func verify(ref Reference, what string, want pipeline.Digest, content []byte) error {
	if got := pipeline.DigestOf(content); got != want {
		return pipeline.Fail(CodeDigest, "%s: the registry sent a %s with the digest %s, want %s", ref, what, got, want).
			WithHint("do not use it: the registry, or somebody on the way, has changed it")
	}
	return nil
}

// get reads what stands at a path of a repository. More than limit bytes are cut
// off after the limit and one more, which no digest fits.
func (c *Client) get(ctx context.Context, ref Reference, path, accept string, limit int64) ([]byte, error) {
	scheme := "https"
	if loopback(ref.ref.Host()) {
		scheme = "http"
	}
	url := fmt.Sprintf("%s://%s/v2/%s/%s", scheme, ref.ref.Host(), ref.ref.Repository, path)
	ctx = auth.AppendRepositoryScope(ctx, ref.ref, auth.ActionPull)
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, url, nil)
	if err != nil {
		return nil, err
	}
	if accept != "" {
		req.Header.Set("Accept", accept)
	}
	resp, err := c.http.Do(req)
	if err != nil {
		return nil, unreachable(ref, err)
	}
	defer resp.Body.Close()
	if resp.StatusCode != http.StatusOK {
		return nil, refusal(ref, resp.StatusCode)
	}
	body, err := io.ReadAll(io.LimitReader(c.counting(resp.Body, "pulling", ref, limit), limit+1))
	if err != nil {
		return nil, unreachable(ref, err)
	}
	return body, nil
}
