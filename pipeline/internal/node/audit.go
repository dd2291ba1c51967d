package node

import (
	"strings"

	"gopkg.in/yaml.v3"
)

// auditor walks the raw tree once, before anything is decoded.
type auditor struct {
	doc     *Document
	extents map[*yaml.Node]extent
	open    map[*yaml.Node]bool // anchored nodes that the walk is inside of
	aliased int
	fatal   bool
}

// extent is how much a node stands for with its aliases expanded: values below
// and including it, and levels of nesting.
type extent struct{ size, height int }

func (e *extent) add(child extent) {
	e.size += child.size
	e.height = max(e.height, child.height+1)
}

// audit checks the tree and resolves its references. It reports whether the
// tree is safe to walk: neither too deep nor a bomb.
func (d *Document) audit(top *yaml.Node) bool {
	a := &auditor{doc: d, extents: map[*yaml.Node]extent{}, open: map[*yaml.Node]bool{}}
	a.walk(top, d.view(nil, "", 0, nil, top), 1)
	return !a.fatal
}

func (a *auditor) walk(n *yaml.Node, at *Node, depth int) extent {
	if a.fatal {
		return extent{}
	}
	if depth > MaxDepth {
		return a.tooDeep(n, at)
	}
	if n.Kind == yaml.AliasNode {
		return a.alias(n, at, depth)
	}
	if n.Anchor != "" {
		a.open[n] = true
		defer delete(a.open, n)
	}
	if n.Style&yaml.TaggedStyle != 0 {
		a.doc.faulty[n] = true
		at.problemAt(n, CodeTag, tagHint(n), "YAML tags are not supported: %s", n.Tag)
	}
	whole := extent{1, 1}
	switch n.Kind {
	case yaml.ScalarNode:
		a.doc.resolve(n, at)
	case yaml.SequenceNode:
		for i, c := range n.Content {
			whole.add(a.walk(c, a.doc.view(at, "", i, nil, c), depth+1))
		}
	case yaml.MappingNode:
		a.mapping(n, at, depth, &whole)
	}
	if n.Anchor != "" {
		a.extents[n] = whole
	}
	return whole
}

func (a *auditor) tooDeep(n *yaml.Node, at *Node) extent {
	a.fatal = true
	at.problemAt(n, CodeTooDeep, "", "values are nested deeper than %d", MaxDepth)
	return extent{}
}

// alias counts what an alias expands to. An alias of something that it stands
// in would never end.
func (a *auditor) alias(n *yaml.Node, at *Node, depth int) extent {
	whole := a.extents[n.Alias]
	a.aliased += whole.size
	switch {
	case a.open[n.Alias]:
		a.fatal = true
		at.problemAt(n, CodeAliasBomb, "write the values out", "the alias *%s contains itself", n.Value)
	case depth+whole.height-1 > MaxDepth:
		return a.tooDeep(n, at)
	case a.aliased > MaxAliased:
		a.fatal = true
		at.problemAt(n, CodeAliasBomb, "write the values out", "the aliases of this file stand for more than %d values", MaxAliased)
	}
	return whole
}

func (a *auditor) mapping(n *yaml.Node, at *Node, depth int, whole *extent) {
	first := make(map[string]*yaml.Node, len(n.Content)/2)
	for i := 0; i+1 < len(n.Content); i += 2 {
		k, v := n.Content[i], n.Content[i+1]
		if k.Kind != yaml.ScalarNode {
			a.doc.faulty[k] = true
			at.problemAt(k, CodeBadKey, "a key is plain text", "a key cannot be a list, a mapping or an alias")
			continue
		}
		child := a.doc.view(at, k.Value, 0, k, v)
		a.key(k, child, first)
		whole.add(a.walk(v, child, depth+1))
	}
}

func (a *auditor) key(k *yaml.Node, child *Node, first map[string]*yaml.Node) {
	switch {
	case k.Value == "<<" && k.Style&(yaml.SingleQuotedStyle|yaml.DoubleQuotedStyle) == 0:
		a.doc.faulty[k] = true
		child.problemAt(k, CodeMergeKey, "write the keys out", "merge keys are not supported: what a stage does must stand where it stands")
		return
	case k.Style&yaml.TaggedStyle != 0:
		child.problemAt(k, CodeTag, "", "YAML tags are not supported: %s", k.Tag)
	case strings.Contains(k.Value, "${env:") || strings.Contains(k.Value, "${file:"):
		child.problemAt(k, CodeBadReference, "references stand in values", "a key cannot hold a reference")
	}
	if prev := first[k.Value]; prev != nil {
		a.doc.faulty[k] = true
		child.problemAt(k, CodeDuplicateKey, "keep one of the two", "%q is set twice, first in line %d", k.Value, prev.Line)
		return
	}
	first[k.Value] = k
}

func tagHint(n *yaml.Node) string {
	if n.Kind == yaml.ScalarNode {
		return "quote the value if it starts with !"
	}
	return ""
}
