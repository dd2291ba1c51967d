package main

import (
	"encoding/json"
	"os"
	"path/filepath"
	"reflect"
	"runtime"
	"strings"
	"testing"

	kernel "github.com/waybill-dev/waybill/plugins/sdk/go"
)

// run sends a page through the kernel as the host would.
func run(t *testing.T, config, html string) Page {
	t.Helper()
	h, err := kernel.JSON(newReadable)([]byte(config))
	if err != nil {
		t.Fatal(err)
	}
	answers, err := kernel.Try(h, kernel.Input{Value: []byte(html)})
	if err != nil || answers[0].Err != "" {
		t.Fatal(err, answers[0].Err)
	}
	var p Page
	if err := json.Unmarshal(answers[0].Values[0], &p); err != nil {
		t.Fatal(err)
	}
	return p
}

const page = `<!doctype html>
<html lang="en"><head><title> A &amp;
 B </title><style>p { color: red }</style><script>if (a < b) { document.write("</p>") }</script></head>
<body><nav><a href="/home">Home</a></nav>
<!-- <h1>not this</h1> -->
<h1>Hello, <em>big</em> world</h1>
<p>It&#39;s the first sentence. Is this the second?
   Yes!</p>
<ul><li>one</li><li><a href='/two?a=1&amp;b=2' title=x>two <b>links</b></a></li></ul>
<table><tr><td>3.14</td><td>cell</td></tr></table>
<footer>imprint</footer>
<script src=x></script>1 < 2
</body></html>`

func TestPage(t *testing.T) {
	p := run(t, `{"minWords":5,"top":2}`, page)
	want := Page{
		Title: "A & B", Lang: "en",
		Headings: []Heading{{1, "Hello, big world"}},
		Links:    []Link{{"/two?a=1&b=2", "two links"}},
		Text:     "Hello, big world\nIt's the first sentence. Is this the second? Yes!\none\ntwo links\n3.14 cell\n1 < 2",
		Stats:    Stats{Words: 20, UniqueWords: 19, Sentences: 8, Characters: 96, Top: []WordCount{{"the", 2}, {"1", 1}}},
	}
	if !reflect.DeepEqual(p, want) {
		t.Errorf("\n got %+v\nwant %+v", p, want)
	}
}

func TestMainIsPreferred(t *testing.T) {
	p := run(t, `{}`, `<p>before</p><main><p>inside</p></main><p>after</p>`)
	if p.Text != "inside" {
		t.Errorf("text %q", p.Text)
	}
}

func TestThinPagesAreMarkedAndStillResults(t *testing.T) {
	for n, want := range map[string]bool{`{"minWords":3}`: true, `{"minWords":2}`: false, `{}`: false} {
		if p := run(t, n, `<p>two words`); p.Thin != want || p.Text != "two words" {
			t.Errorf("%s: %+v", n, p)
		}
	}
	if p := run(t, `{"minWords":1}`, ""); !p.Thin || p.Stats.Words != 0 || p.Headings == nil || p.Links == nil {
		t.Errorf("empty page: %+v", p)
	}
}

func TestConfigIsStrict(t *testing.T) {
	for _, c := range []string{`{"minWord":1}`, `{"minWords":-1}`, `{"top":-1}`, `{"minWords":"5"}`} {
		if _, err := kernel.JSON(newReadable)([]byte(c)); err == nil {
			t.Errorf("%s was taken", c)
		}
	}
}

func TestSentencesAndWords(t *testing.T) {
	tests := []struct {
		text             string
		words, sentences int
	}{
		{"", 0, 0},
		{"One.", 1, 1},
		{"No end", 2, 1},
		{"Really?! Yes... no", 3, 3},
		{"Version 3.14 is out.", 5, 1},
		{"well-known it's -- 'quoted'", 3, 1},
		{"你好。再见。", 2, 2},
		{"Über naïve café", 3, 1},
		{"...", 0, 0},
		{"line\nline", 2, 2},
	}
	for _, tt := range tests {
		s := statistics(tt.text, 5)
		if s.Words != tt.words || s.Sentences != tt.sentences {
			t.Errorf("%q: %d words, %d sentences; want %d, %d", tt.text, s.Words, s.Sentences, tt.words, tt.sentences)
		}
	}
}

// TestRealPages reads the pages that ship with every Go toolchain.
func TestRealPages(t *testing.T) {
	pages, err := filepath.Glob(filepath.Join(runtime.GOROOT(), "doc", "*.html"))
	if err != nil || len(pages) == 0 {
		t.Fatalf("no pages in %s: %v", runtime.GOROOT(), err)
	}
	for _, path := range pages {
		b, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		p := run(t, `{"minWords":100}`, string(b))
		if p.Thin || len(p.Headings) == 0 || p.Stats.Top[0].Word != "the" {
			t.Errorf("%s: thin %v, %d headings, top %v", path, p.Thin, len(p.Headings), p.Stats.Top)
		}
		if strings.Contains(p.Text, "<p>") || strings.Contains(p.Text, "-->") {
			t.Errorf("%s: markup in the text", path)
		}
	}
}

func FuzzRead(f *testing.F) {
	f.Add(page)
	f.Add("<a href=x>")
	f.Add("<title><script></SCRIPT ><!-- -- > <")
	f.Fuzz(func(t *testing.T, html string) {
		p := read(html)
		if s := statistics(p.Text, 3); s.UniqueWords > s.Words || len(s.Top) > 3 {
			t.Errorf("%+v", s)
		}
	})
}
