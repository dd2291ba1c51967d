package hostile

import (
	"bytes"
	"os"
	"testing"
)

func TestGenerated(t *testing.T) {
	page, err := os.ReadFile("../../../docs/browser.md")
	if err != nil {
		t.Fatal(err)
	}
	want, err := Renew(page)
	if err != nil {
		t.Fatal(err)
	}
	if !bytes.Equal(page, want) {
		t.Error("docs/browser.md is stale: run make generate")
	}
}

func TestNamesAreUnique(t *testing.T) {
	seen := map[string]bool{}
	for _, c := range Cases() {
		if seen[c.Name] {
			t.Errorf("two cases are called %q", c.Name)
		}
		seen[c.Name] = true
	}
}
