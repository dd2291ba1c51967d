package manifest_test

import (
	"bytes"
	"os"
	"path/filepath"
	"testing"

	"github.com/waybill-dev/waybill/plugins/internal/manifest"
)

// TestSpecExample: the manifest that the specification shows is one.
func TestSpecExample(t *testing.T) {
	page, err := os.ReadFile(filepath.Join("..", "..", "..", "spec", "kernel-abi.md"))
	if err != nil {
		t.Fatal(err)
	}
	_, text, _ := bytes.Cut(page, []byte("## Manifest\n"))
	_, text, _ = bytes.Cut(text, []byte("```json\n"))
	text, _, found := bytes.Cut(text, []byte("```"))
	m, err := manifest.Parse(text)
	if !found || err != nil {
		t.Fatal(err)
	}
	if m.Name != "readable" || len(m.Samples) != 2 || len(m.CheckConfig([]byte(`{"minWords":0}`))) != 1 {
		t.Errorf("%+v", m)
	}
}

// TestProjects: the manifests and golden cases of the templates are without
// problems.
func TestProjects(t *testing.T) {
	sources, err := filepath.Glob(filepath.Join("..", "..", "sdk", "*", "*", "kernel.json"))
	if err != nil || len(sources) == 0 {
		t.Fatal("no kernel.json", err)
	}
	for _, source := range sources {
		raw, err := os.ReadFile(source)
		if err != nil {
			t.Fatal(err)
		}
		m, err := manifest.Parse(raw)
		if err != nil {
			t.Errorf("%s: %v", source, err)
			continue
		}
		cases, err := filepath.Glob(filepath.Join(filepath.Dir(source), "cases", "*.json"))
		if err != nil {
			t.Fatal(err)
		}
		for _, file := range cases {
			if raw, err = os.ReadFile(file); err != nil {
				t.Fatal(err)
			}
			if _, err := m.ParseSample(raw); err != nil {
				t.Errorf("%s: %v", file, err)
			}
		}
	}
}
