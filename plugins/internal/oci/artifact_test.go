package oci

import (
	"encoding/json"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/waybill-dev/waybill/pipeline"
)

// The layout, word by word as the CNCF has it.
func TestLayout(t *testing.T) {
	const (
		layerDigest  = "sha256:93a44bbb96c751218e4c00d479e4c14358122a389acca16205b1e4d0dc5f9476"
		configText   = `{"created":"1970-01-01T00:00:00Z","architecture":"wasm","os":"wasip1","layerDigests":["` + layerDigest + `"]}`
		manifestText = `{
			"schemaVersion": 2,
			"mediaType": "application/vnd.oci.image.manifest.v1+json",
			"artifactType": "application/vnd.wasm.config.v0+json",
			"config": {"mediaType": "application/vnd.wasm.config.v0+json", "digest": "CONFIG", "size": 161},
			"layers": [{"mediaType": "application/wasm", "digest": "` + layerDigest + `", "size": 8,
				"annotations": {"org.opencontainers.image.title": "demo.wasm"}}],
			"annotations": {"org.opencontainers.image.title": "demo", "org.opencontainers.image.version": "1.2.0",
				"org.opencontainers.image.description": "a test"}
		}`
	)
	manifest, configuration, layer, err := layout(demo)
	if err != nil {
		t.Fatal(err)
	}
	if string(layer.Digest) != layerDigest || string(layer.content) != string(demo.WASM) {
		t.Errorf("the layer is not the file: %s", layer.Digest)
	}
	if d := cmp.Diff(configText, string(configuration.content)); d != "" {
		t.Error(d)
	}
	var got, want map[string]any
	if err := json.Unmarshal(manifest.content, &got); err != nil {
		t.Fatal(err)
	}
	if err := json.Unmarshal([]byte(manifestText), &want); err != nil {
		t.Fatal(err)
	}
	want["config"].(map[string]any)["digest"] = string(pipeline.DigestOf([]byte(configText)))
	if d := cmp.Diff(want, got); d != "" {
		t.Error(d)
	}
	again, _, _, err := layout(demo)
	if err != nil || again.Digest != manifest.Digest {
		t.Errorf("pushed again it would be %s, not %s (%v)", again.Digest, manifest.Digest, err)
	}
}

// Without a name there is no annotation, rather than an empty one.
func TestLayoutWithoutName(t *testing.T) {
	manifest, _, _, err := layout(Module{WASM: demo.WASM})
	if err != nil {
		t.Fatal(err)
	}
	a, err := ParseManifest(manifest.content)
	if err != nil || a.Title != "" || a.Version != "" {
		t.Errorf("%+v, %v", a, err)
	}
	var m struct {
		Annotations map[string]string
		Layers      []struct{ Annotations map[string]string }
	}
	if err := json.Unmarshal(manifest.content, &m); err != nil || len(m.Annotations) > 0 || len(m.Layers[0].Annotations) > 0 {
		t.Errorf("%+v, %v", m, err)
	}
}

func TestParseManifestRefuses(t *testing.T) {
	manifest, _, _, err := layout(demo)
	if err != nil {
		t.Fatal(err)
	}
	layerOf := func(m map[string]any) map[string]any { return m["layers"].([]any)[0].(map[string]any) }
	for want, change := range map[string]func(m map[string]any){
		`manifest has the type "application/vnd.oci.image.index.v1+json"`: func(m map[string]any) { m["mediaType"] = "application/vnd.oci.image.index.v1+json" },
		`configuration has the type "application/vnd.oci.image.config.v1+json"`: func(m map[string]any) {
			m["config"].(map[string]any)["mediaType"] = "application/vnd.oci.image.config.v1+json"
		},
		"it has 2 layers":                    func(m map[string]any) { m["layers"] = append(m["layers"].([]any), layerOf(m)) },
		"it has 0 layers":                    func(m map[string]any) { delete(m, "layers") },
		`layer has the type "text/plain"`:    func(m map[string]any) { layerOf(m)["mediaType"] = "text/plain" },
		"layer has 16777217 bytes":           func(m map[string]any) { layerOf(m)["size"] = MaxModule + 1 },
		"layer has -1 bytes":                 func(m map[string]any) { layerOf(m)["size"] = -1 },
		`"sha256:../../etc" is not a digest`: func(m map[string]any) { layerOf(m)["digest"] = "sha256:../../etc" },
		`"sha512:00" is not a digest`:        func(m map[string]any) { layerOf(m)["digest"] = "sha512:00" },
		"not JSON: json: cannot unmarshal":   func(m map[string]any) { m["layers"] = "none" },
	} {
		var m map[string]any
		if err := json.Unmarshal(manifest.content, &m); err != nil {
			t.Fatal(err)
		}
		change(m)
		raw, err := json.Marshal(m)
		if err != nil {
			t.Fatal(err)
		}
		_, err = ParseManifest(raw)
		wantCode(t, err, CodeArtifact, want)
	}
}
