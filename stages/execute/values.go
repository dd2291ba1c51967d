package execute

import (
	"encoding/json"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/waybill-dev/waybill/cdp"
	"github.com/waybill-dev/waybill/pipeline"
)

// selectors are alternatives for one element: a selector or a list of them. In
// the list a selector may itself be a list: a chain, each link of which is looked
// up in the shadow root of the one before, or below it. Selectors are CSS or have
// one of the Recorder's prefixes: aria/, text/, xpath/, pierce/.
type selectors []chain

type chain []pipeline.Template

// UnmarshalNode reads one selector or a list of alternatives.
func (s *selectors) UnmarshalNode(n *pipeline.Node) {
	items := []*pipeline.Node{n}
	if n.Kind() == pipeline.KindList {
		items = n.Items()
	}
	if len(items) == 0 {
		n.Problem(pipeline.CodeEmptyValue, "", "there is no selector")
	}
	for _, item := range items {
		links := []*pipeline.Node{item}
		if item.Kind() == pipeline.KindList {
			if links = item.Items(); len(links) == 0 {
				item.Problem(pipeline.CodeEmptyValue, "", "there is no selector")
			}
		}
		var c chain
		for _, link := range links {
			c = append(c, readSelector(link))
		}
		*s = append(*s, c)
	}
}

func readSelector(n *pipeline.Node) (t pipeline.Template) {
	if !n.IsString() {
		n.Problem(pipeline.CodeWrongType, "", "want a selector, got %s", n.Kind())
		return t
	}
	t.UnmarshalNode(n)
	text := n.Text()
	if _, rest, ok := strings.Cut(text, "/"); ok && rest == "" && slices.Contains(selectorKinds, text) || strings.TrimSpace(text) == "" {
		n.Problem(pipeline.CodeEmptyValue, "", "the selector is empty")
		return t
	}
	if constant, ok := t.Constant(); ok && strings.HasPrefix(text, "aria/") {
		if err := cdp.CheckSelector(constant.(string)); err != nil {
			n.Problem("bad-selector", "aria/Name or aria/Name[role=\"button\"]", "%v", err)
		}
	}
	return t
}

// selectorKinds are the prefixes of selectors that are not CSS.
var selectorKinds = []string{"aria/", "text/", "xpath/", "pierce/", "css/"}

// locator evaluates the alternatives for an item.
func (s selectors) locator(in frame, it *pipeline.Item) (cdp.Locator, error) {
	path, err := in.path(it)
	if err != nil {
		return cdp.Locator{}, err
	}
	at := cdp.Locator{Frame: path}
	for _, c := range s {
		links := make([]string, len(c))
		for i := range c {
			if links[i], err = c[i].Text(it); err != nil {
				return cdp.Locator{}, err
			}
		}
		at.Selectors = append(at.Selectors, links)
	}
	return at, nil
}

// NodeSchema describes one selector or a list of alternatives.
func (selectors) NodeSchema() json.RawMessage {
	return json.RawMessage(`{"type":["string","array"],"minItems":1,"items":{"type":["string","array"],"items":{"type":"string"}}}`)
}

// frame leads to an embedded document: the number of a frame (from 0, in the
// order of the document) or a selector of its element, or a list of these for
// frames inside frames.
type frame []pipeline.Template

// UnmarshalNode reads the path.
func (f *frame) UnmarshalNode(n *pipeline.Node) {
	items := []*pipeline.Node{n}
	if n.Kind() == pipeline.KindList {
		items = n.Items()
	}
	for _, item := range items {
		i, err := strconv.Atoi(item.Text())
		if item.Kind() != pipeline.KindScalar || !item.IsString() && (err != nil || i < 0) {
			item.Problem(pipeline.CodeWrongType, "a number from 0, or a selector such as \"iframe#pay\"", "want a frame")
			continue
		}
		var t pipeline.Template
		t.UnmarshalNode(item)
		*f = append(*f, t)
	}
}

func (f frame) path(it *pipeline.Item) ([]string, error) {
	var out []string
	for i := range f {
		text, err := f[i].Text(it)
		if err != nil {
			return nil, err
		}
		out = append(out, text)
	}
	return out, nil
}

// NodeSchema describes a path of frames.
func (frame) NodeSchema() json.RawMessage {
	return json.RawMessage(`{"type":["integer","string","array"],"items":{"type":["integer","string"]}}`)
}

// target is the page that a step of a recording is about. Pages that a page
// opens are closed, so there is only one.
type target string

// UnmarshalNode accepts the one target there is.
func (t *target) UnmarshalNode(n *pipeline.Node) {
	if *t = target(n.Text()); n.Kind() != pipeline.KindScalar || *t != "main" {
		n.Problem("unsupported-target", "record the other page by itself, or navigate to it",
			"only the target main can be driven: pages that a page opens are closed")
	}
}

// NodeSchema describes the one target.
func (target) NodeSchema() json.RawMessage { return json.RawMessage(`{"const":"main"}`) }

// millis is a time: a number of milliseconds, as in recordings, or with a unit.
type millis time.Duration

// UnmarshalNode reads the number or the duration.
func (m *millis) UnmarshalNode(n *pipeline.Node) {
	if x, err := strconv.ParseFloat(n.Text(), 64); err == nil && n.Kind() == pipeline.KindScalar && x >= 0 && x < 1e9 {
		*m = millis(x * float64(time.Millisecond))
		return
	}
	var d pipeline.Duration
	if n.Decode(&d) {
		*m = millis(d.D())
	}
}

// NodeSchema describes milliseconds or a duration.
func (millis) NodeSchema() json.RawMessage { return json.RawMessage(`{"type":["number","string"]}`) }

// statuses is a set of HTTP statuses: 200, "200-399", or a list of these.
type statuses []span

type span struct{ from, to int }

// UnmarshalNode reads one status or range, or a list of them.
func (s *statuses) UnmarshalNode(n *pipeline.Node) {
	items := []*pipeline.Node{n}
	if n.Kind() == pipeline.KindList {
		items = n.Items()
	}
	for _, item := range items {
		sp, err := parseSpan(item.Text())
		if item.Kind() != pipeline.KindScalar || err != nil {
			item.Problem(pipeline.CodeBadValue, "200, 200-399 or a list of these", "want an HTTP status or a range of them")
			continue
		}
		*s = append(*s, sp)
	}
}

func parseSpan(text string) (span, error) {
	from, to, isRange := strings.Cut(text, "-")
	if !isRange {
		to = from
	}
	a, err := strconv.Atoi(strings.TrimSpace(from))
	if err != nil {
		return span{}, err
	}
	b, err := strconv.Atoi(strings.TrimSpace(to))
	if err != nil {
		return span{}, err
	}
	if a < 100 || b > 599 || a > b {
		return span{}, fmt.Errorf("%s is not a status", text)
	}
	return span{a, b}, nil
}

func (s statuses) has(status int) bool {
	for _, sp := range s {
		if status >= sp.from && status <= sp.to {
			return true
		}
	}
	return false
}

func (s statuses) String() string {
	parts := make([]string, len(s))
	for i, sp := range s {
		parts[i] = strconv.Itoa(sp.from)
		if sp.to != sp.from {
			parts[i] += "-" + strconv.Itoa(sp.to)
		}
	}
	return strings.Join(parts, ", ")
}

// script is code of the file. Expressions are refused in it: an item's data
// must not become code.
type script string

// UnmarshalNode reads the script.
func (s *script) UnmarshalNode(n *pipeline.Node) {
	if n.IsString() {
		for _, part := range n.Segments() {
			if part.Kind == pipeline.SegmentExpression {
				n.ProblemAt(part.Offset-len("${{"), "expression-in-script", "make the script a function and pass the value in args", "an item's data must not become code")
				return
			}
		}
	}
	var text string
	if n.Decode(&text) {
		*s = script(text)
	}
}
