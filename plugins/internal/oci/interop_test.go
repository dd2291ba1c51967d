package oci

import (
	"bytes"
	"os"
	"path/filepath"
	"testing"

	"github.com/opencontainers/go-digest"
	ocispec "github.com/opencontainers/image-spec/specs-go/v1"
	"oras.land/oras-go/v2"
	orasfile "oras.land/oras-go/v2/content/file"
	"oras.land/oras-go/v2/registry/remote"
)

func repository(t *testing.T, ref Reference) *remote.Repository {
	t.Helper()
	r, err := remote.NewRepository(ref.ref.Registry + "/" + ref.ref.Repository)
	if err != nil {
		t.Fatal(err)
	}
	r.PlainHTTP = true
	return r
}

// What we push, `oras pull` writes to a file of the kernel's name.
func TestOrasPullsWhatWePush(t *testing.T) {
	f := newRegistry(t)
	ref := f.ref(t, "demo:1")
	a := push(t, ref, demo)
	dir := t.TempDir()
	to, err := orasfile.New(dir)
	if err != nil {
		t.Fatal(err)
	}
	defer to.Close()
	root, err := oras.Copy(t.Context(), repository(t, ref), "1", to, "1", oras.DefaultCopyOptions)
	if err != nil || string(root.Digest) != string(a.Manifest) {
		t.Fatal(root.Digest, err)
	}
	if got, err := os.ReadFile(filepath.Join(dir, "demo.wasm")); err != nil || !bytes.Equal(got, demo.WASM) {
		t.Errorf("%q, %v", got, err)
	}
}

// An artifact of another tool, with a configuration of its own, is as good.
func TestPullWhatOthersPush(t *testing.T) {
	f := newRegistry(t)
	ref := f.ref(t, "theirs:1")
	to := repository(t, ref)
	send := func(media string, content []byte) ocispec.Descriptor {
		t.Helper()
		d, err := oras.PushBytes(t.Context(), to, media, content)
		if err != nil {
			t.Fatal(err)
		}
		return d
	}
	layer := send(MediaLayer, demo.WASM)
	config := send(MediaConfig, []byte(`{"created":"2024-09-25T12:00:00Z","author":"them","architecture":"wasm","os":"wasip1","layerDigests":["`+layer.Digest.String()+`"]}`))
	packed, err := oras.PackManifest(t.Context(), to, oras.PackManifestVersion1_1, "", oras.PackManifestOptions{ConfigDescriptor: &config, Layers: []ocispec.Descriptor{layer}})
	if err != nil {
		t.Fatal(err)
	}
	if err := to.Tag(t.Context(), packed, "1"); err != nil {
		t.Fatal(err)
	}
	c := newClient(t, nil)
	a, _, err := c.Resolve(t.Context(), ref)
	if err != nil || digest.Digest(a.Digest) != layer.Digest || digest.Digest(a.Manifest) != packed.Digest {
		t.Fatalf("%+v, %v", a, err)
	}
	if wasm, err := c.Fetch(t.Context(), ref, a); err != nil || !bytes.Equal(wasm, demo.WASM) {
		t.Errorf("%q, %v", wasm, err)
	}
}
