package oci

import (
	"encoding/json"
	"time"

	"github.com/opencontainers/go-digest"
	"github.com/opencontainers/image-spec/specs-go"
	ocispec "github.com/opencontainers/image-spec/specs-go/v1"

	"github.com/waybill-dev/waybill/pipeline"
)

// Media types of the layout
// (https://tag-runtime.cncf.io/wgs/wasm/deliverables/wasm-oci-artifact/).
const (
	MediaConfig = "application/vnd.wasm.config.v0+json"
	MediaLayer  = "application/wasm"
)

// Bounds of what is read from a registry, in bytes.
const (
	maxManifest = 1 << 20
	// MaxModule is the largest module that is moved: the largest that a host
	// accepts (module.MaxSize).
	MaxModule = 16 << 20
)

// Codes of failures.
const (
	CodeArtifact = "kernel-artifact" // what is there is not a WebAssembly artifact
	CodeDigest   = "kernel-digest"   // content that does not have its digest
)

// Artifact is what a manifest says.
type Artifact struct {
	// Manifest is the digest of the manifest itself, by which a registry is
	// asked; Digest is that of the module, by which everybody else knows it.
	Manifest, Digest pipeline.Digest
	// Size of the module in bytes.
	Size int64
	// Title and Version are annotations, "" if there are none.
	Title, Version string
}

// Module is what is pushed.
type Module struct {
	WASM []byte
	// Name, Version and Description become annotations; those that are empty
	// do not.
	Name, Version, Description string
}

// config is the layout's configuration. The fields, and os for what is not a
// component, are the layout's.
type config struct {
	Created      time.Time       `json:"created"`
	Architecture string          `json:"architecture"`
	OS           string          `json:"os"`
	LayerDigests []digest.Digest `json:"layerDigests"`
}

// blob is content with its descriptor.
type blob struct {
	ocispec.Descriptor
	content []byte
}

func newBlob(media string, content []byte) blob {
	return blob{ocispec.Descriptor{MediaType: media, Digest: digest.Digest(pipeline.DigestOf(content)), Size: int64(len(content))}, content}
}

// layout makes the three blobs of an artifact. It is a pure function, so that a
// module pushed twice is one artifact: created is always 1970, because the time
// of a push says nothing about a module.
func layout(m Module) (manifest, configuration, layer blob, err error) {
	layer = newBlob(MediaLayer, m.WASM)
	raw, err := json.Marshal(config{Created: time.Unix(0, 0).UTC(), Architecture: "wasm", OS: "wasip1", LayerDigests: []digest.Digest{layer.Digest}})
	if err != nil {
		return manifest, configuration, layer, err
	}
	configuration = newBlob(MediaConfig, raw)
	described := layer.Descriptor
	if m.Name != "" {
		// The file name that clients of any artifact, such as oras, write to.
		described.Annotations = map[string]string{ocispec.AnnotationTitle: m.Name + ".wasm"}
	}
	raw, err = json.Marshal(ocispec.Manifest{
		Versioned:    specs.Versioned{SchemaVersion: 2},
		MediaType:    ocispec.MediaTypeImageManifest,
		ArtifactType: MediaConfig,
		Config:       configuration.Descriptor,
		Layers:       []ocispec.Descriptor{described},
		Annotations:  annotations(m),
	})
	return newBlob(ocispec.MediaTypeImageManifest, raw), configuration, layer, err
}

func annotations(m Module) map[string]string {
	out := map[string]string{}
	for name, value := range map[string]string{
		ocispec.AnnotationTitle: m.Name, ocispec.AnnotationVersion: m.Version, ocispec.AnnotationDescription: m.Description,
	} {
		if value != "" {
			out[name] = value
		}
	}
	return out
}

// ParseManifest reads a manifest and says what it is of. A manifest of anything
// but one module that may be loaded is refused: the layout demands it of more
// than one layer.
func ParseManifest(raw []byte) (Artifact, error) {
	var m ocispec.Manifest
	if err := json.Unmarshal(raw, &m); err != nil {
		return Artifact{}, pipeline.Fail(CodeArtifact, "the manifest is not JSON: %w", err)
	}
	refuse := func(format string, args ...any) (Artifact, error) {
		return Artifact{}, pipeline.Fail(CodeArtifact, "it is not a WebAssembly artifact: "+format, args...).
			WithHint("push kernels with waybill kernel push, or with another tool that writes the CNCF layout")
	}
	switch {
	case m.MediaType != ocispec.MediaTypeImageManifest:
		return refuse("its manifest has the type %q", m.MediaType)
	case m.Config.MediaType != MediaConfig:
		return refuse("its configuration has the type %q, want %s", m.Config.MediaType, MediaConfig)
	case len(m.Layers) != 1:
		return refuse("it has %d layers, want one", len(m.Layers))
	case m.Layers[0].MediaType != MediaLayer:
		return refuse("its layer has the type %q, want %s", m.Layers[0].MediaType, MediaLayer)
	case m.Layers[0].Size < 0 || m.Layers[0].Size > MaxModule:
		return refuse("its layer has %d bytes, the limit is %d", m.Layers[0].Size, MaxModule)
	}
	layer, err := pipeline.ParseDigest(string(m.Layers[0].Digest))
	if err != nil {
		return refuse("its layer: %w", err)
	}
	return Artifact{Manifest: pipeline.DigestOf(raw), Digest: layer, Size: m.Layers[0].Size,
		Title: m.Annotations[ocispec.AnnotationTitle], Version: m.Annotations[ocispec.AnnotationVersion]}, nil
}
