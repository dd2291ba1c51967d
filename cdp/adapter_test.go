package cdp_test

import (
	"go/parser"
	"go/token"
	"path/filepath"
	"strings"
	"testing"

	"github.com/waybill-dev/waybill/cdp"
	"github.com/waybill-dev/waybill/cdp/cdptest"
)

// TestOnlyTheAdapterKnowsChromedp keeps what may change with each release of
// chromedp in one place.
func TestOnlyTheAdapterKnowsChromedp(t *testing.T) {
	files, err := filepath.Glob("*.go")
	if err != nil || len(files) == 0 {
		t.Fatal(err)
	}
	adapters := 0
	for _, name := range files {
		f, err := parser.ParseFile(token.NewFileSet(), name, nil, parser.ImportsOnly)
		if err != nil {
			t.Fatal(err)
		}
		uses := false
		for _, i := range f.Imports {
			uses = uses || strings.Contains(i.Path.Value, "github.com/chromedp/")
		}
		adapter := strings.HasPrefix(name, "adapter") && !strings.HasSuffix(name, "_test.go")
		if uses && !adapter {
			t.Errorf("%s imports chromedp", name)
		}
		if uses && adapter {
			adapters++
		}
	}
	if adapters == 0 {
		t.Error("no adapter was found: the test looks at nothing")
	}
}

// TestAdapterContract is what the rest of the package relies on and chromedp
// does not promise: that a version comes back, that the texts by which a stale
// document is told apart are still those of the browser, and that a handle can
// be called.
func TestAdapterContract(t *testing.T) {
	url, _ := serve(t)
	s := cdptest.Acquire(t, shared.Pool(t))
	b := s.Build()
	if !strings.Contains(b.Product, "/") || b.Revision == "" || !strings.HasPrefix(b.Flags, "sha256:") || b.Binary == "" {
		t.Errorf("build %+v", b)
	}
	if _, err := s.Navigate(t.Context(), url); err != nil {
		t.Fatal(err)
	}
	if ok, err := s.StaleWorld(t.Context(), url+"/next"); err != nil || !ok {
		t.Errorf("a call into a document that is gone is not told apart: %v, %v", ok, err)
	}
	if ok, err := s.Has(t.Context(), cdp.At("h1"), cdp.Visible); err != nil || !ok {
		t.Errorf("the document after it: %v, %v", ok, err)
	}
}
