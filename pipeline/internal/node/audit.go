package node

import (
	"strings"

	"gopkg.in/yaml.v3"
)

// auditor walks the tree once, before anything is decoded. It sees the raw yaml
// nodes, aliases and faulty keys included, beside the nodes that stand for them.
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
func (d *Document) audit(root *Node) bool {
	a := &auditor{doc: d, extents: map[*yaml.Node]extent{}, open: map[*yaml.Node]bool{}}
	a.walk(root.yaml, root, 1)
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
		for i, item := range at.Items() {
			whole.add(a.walk(n.Content[i], item, depth+1))
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
		if k := n.Content[i]; !a.key(Key{at, k}, first) {
			a.doc.faulty[k] = true
		}
	}
	fields := at.Fields()
	for i := 0; i+1 < len(n.Content); i += 2 {
		k, v := n.Content[i], n.Content[i+1]
		switch {
		case len(fields) > 0 && fields[0].Value.key == k:
			whole.add(a.walk(v, fields[0].Value, depth+1))
			fields = fields[1:]
		case k.Kind == yaml.ScalarNode: // nobody decodes it, but it has a path
			whole.add(a.walk(v, &Node{doc: a.doc, parent: at, key: k, yaml: resolved(v)}, depth+1))
		}
	}
}

// key checks a key and reports whether its entry can be decoded.
func (a *auditor) key(key Key, first map[string]*yaml.Node) bool {
	k := key.yaml
	switch {
	case k.Kind != yaml.ScalarNode:
		key.mapping.problemAt(k, CodeBadKey, "a key is plain text", "a key cannot be a list, a mapping or an alias")
		return false
	case k.Value == "<<" && k.Style&(yaml.SingleQuotedStyle|yaml.DoubleQuotedStyle) == 0:
		key.Problem(CodeMergeKey, "write the keys out", "merge keys are not supported: what a stage does must stand where it stands")
		return false
	case k.Style&yaml.TaggedStyle != 0:
		key.Problem(CodeTag, "", "YAML tags are not supported: %s", k.Tag)
	case strings.Contains(k.Value, "${env:") || strings.Contains(k.Value, "${file:"):
		key.Problem(CodeBadReference, "references stand in values", "a key cannot hold a reference")
	}
	if prev := first[k.Value]; prev != nil {
		key.Problem(CodeDuplicateKey, "keep one of the two", "%q is set twice, first in line %d", k.Value, prev.Line)
		return false
	}
	first[k.Value] = k
	return true
}

func tagHint(n *yaml.Node) string {
	if n.Kind == yaml.ScalarNode {
		return "quote the value if it starts with !"
	}
	return ""
}
