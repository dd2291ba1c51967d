package execute

import (
	"fmt"
	"strconv"
	"strings"

	"github.com/waybill-dev/waybill/pipeline"
)

// selectors are alternatives for one element: a string or a list of strings,
// each CSS or with the prefix xpath/, text/ or pierce/.
type selectors []pipeline.Template

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
		if !item.IsString() {
			item.Problem(pipeline.CodeWrongType, "", "want a selector, got %s", item.Kind())
			continue
		}
		checkSelector(item)
		var t pipeline.Template
		t.UnmarshalNode(item)
		*s = append(*s, t)
	}
}

func checkSelector(n *pipeline.Node) {
	text := n.Text()
	switch {
	case strings.TrimSpace(text) == "":
		n.Problem(pipeline.CodeEmptyValue, "", "the selector is empty")
	case strings.HasPrefix(text, "aria/"):
		n.Problem("bad-selector", "use CSS ([aria-label=...]), text/ or xpath/", "aria/ selectors are not supported")
	}
}

// list evaluates the alternatives for an item.
func (s selectors) list(it *pipeline.Item) ([]string, error) {
	out := make([]string, len(s))
	for i := range s {
		text, err := s[i].Text(it)
		if err != nil {
			return nil, err
		}
		out[i] = text
	}
	return out, nil
}

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

// matches compares with a pattern in which * stands for any text.
func matches(pattern, text string) bool {
	parts := strings.Split(pattern, "*")
	if len(parts) == 1 {
		return pattern == text
	}
	text, ok := strings.CutPrefix(text, parts[0])
	for _, part := range parts[1 : len(parts)-1] {
		if !ok {
			return false
		}
		_, text, ok = strings.Cut(text, part)
	}
	return ok && strings.HasSuffix(text, parts[len(parts)-1])
}

// script is code of the file. Expressions are refused in it: an item's data
// must not become code.
type script string

// UnmarshalNode reads the script.
func (s *script) UnmarshalNode(n *pipeline.Node) {
	if i := strings.Index(n.Raw(), "${{"); i >= 0 && n.Kind() == pipeline.KindScalar {
		n.ProblemAt(i, "expression-in-script", "make the script a function and pass the value in args", "an item's data must not become code")
		return
	}
	var text string
	if n.Decode(&text) {
		*s = script(text)
	}
}
