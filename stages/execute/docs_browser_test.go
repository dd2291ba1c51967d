package execute_test

import (
	"os"
	"strings"
	"testing"
)

// Every snippet of docs/browser.md is a config that check accepts.
func TestBrowserPage(t *testing.T) {
	page, err := os.ReadFile("../../docs/browser.md")
	if err != nil {
		t.Fatal(err)
	}
	blocks := strings.Split(string(page), "```yaml\n")[1:]
	if len(blocks) < 6 {
		t.Errorf("the page has %d snippets", len(blocks))
	}
	for _, block := range blocks {
		text, _, _ := strings.Cut(block, "```")
		if _, problems := load(text); len(problems) > 0 {
			t.Errorf("%s\n%v", text, problems)
		}
	}
}
