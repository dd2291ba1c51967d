package main

import "strings"

// reader gathers a page from its tokens.
type reader struct {
	page    Page
	all     block // text outside of navigation and the like
	main    block // text inside of main or article
	inMain  int
	skipped string // the element whose content is skipped, and how deep
	depth   int
	title   bool
	heading *block
	level   int
	link    *block
	href    string
}

// read takes the readable part of a page: what stands in main or article if the
// page has them, else everything but navigation, asides and scripts.
func read(html string) Page {
	r := reader{page: Page{Headings: []Heading{}, Links: []Link{}}}
	tokenize(html, r.token)
	r.page.Text = r.main.text()
	if r.page.Text == "" {
		r.page.Text = r.all.text()
	}
	return r.page
}

func (r *reader) token(t token) {
	switch {
	case r.skipped != "":
		r.skip(t)
	case t.tag == "":
		r.text(t.text)
	case t.end:
		r.endTag(t.tag)
	default:
		r.startTag(t)
	}
}

// skip follows the nesting of the skipped element until it ends.
func (r *reader) skip(t token) {
	if t.tag != r.skipped {
		return
	}
	if !t.end {
		r.depth++
	} else if r.depth--; r.depth == 0 {
		r.skipped = ""
	}
}

func (r *reader) text(s string) {
	if r.title {
		r.page.Title = strings.Join(strings.Fields(s), " ")
		return
	}
	for _, b := range []*block{&r.all, r.heading, r.link} {
		b.add(s)
	}
	if r.inMain > 0 {
		r.main.add(s)
	}
}

func (r *reader) startTag(t token) {
	switch t.tag {
	case "html":
		r.page.Lang = t.attrs["lang"]
	case "title":
		r.title = r.page.Title == ""
	case "script", "style", "noscript", "template", "svg", "nav", "aside", "footer", "select", "iframe", "textarea":
		r.skipped, r.depth = t.tag, 1
	case "main", "article":
		r.inMain++
	case "a":
		if href, ok := t.attrs["href"]; ok {
			r.link, r.href = new(block), href
		}
	case "h1", "h2", "h3", "h4", "h5", "h6":
		r.heading, r.level = new(block), int(t.tag[1]-'0')
	}
	r.boundary(t.tag)
}

func (r *reader) endTag(tag string) {
	switch tag {
	case "title":
		r.title = false
	case "main", "article":
		r.boundary(tag)
		r.inMain = max(0, r.inMain-1)
	case "a":
		if r.link != nil {
			r.page.Links = append(r.page.Links, Link{r.href, r.link.line()})
			r.link = nil
		}
	case "h1", "h2", "h3", "h4", "h5", "h6":
		if r.heading != nil {
			r.page.Headings = append(r.page.Headings, Heading{r.level, r.heading.line()})
			r.heading = nil
		}
	}
	r.boundary(tag)
}

// boundary ends the line at block elements; the rest flows.
func (r *reader) boundary(tag string) {
	switch tag {
	case "a", "abbr", "b", "bdi", "bdo", "cite", "code", "del", "dfn", "em", "font", "i", "ins", "kbd", "label", "mark", "q",
		"s", "samp", "small", "span", "strong", "sub", "sup", "time", "tt", "u", "var", "wbr", "img":
		return
	case "td", "th":
		r.text(" ")
		return
	}
	r.all.end()
	if r.inMain > 0 {
		r.main.end()
	}
}

// block is text with its white space collapsed, a line per block element. A nil
// block takes nothing.
type block struct {
	lines   []string
	current strings.Builder
}

func (b *block) add(s string) {
	if b != nil {
		b.current.WriteString(s)
	}
}

func (b *block) end() {
	if line := b.line(); line != "" {
		b.lines = append(b.lines, line)
	}
	b.current.Reset()
}

// line returns the current line.
func (b *block) line() string { return strings.Join(strings.Fields(b.current.String()), " ") }

func (b *block) text() string {
	b.end()
	return strings.Join(b.lines, "\n")
}
