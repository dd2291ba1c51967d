package node

import "slices"

// Include parses another file that the node names. Its values are data: what
// looks like a reference or an expression in them is literal text. Its problems
// join those of the node's document, with places in the other file. It returns
// nil if there is no tree to walk.
func (n *Node) Include(name string, src []byte) *Node {
	d := ParseData(name, src)
	n.doc.included = append(n.doc.included, d)
	return d.Root()
}

// ParseData reads a file whose values are data: what looks like a reference or an
// expression in them is literal text.
func ParseData(name string, src []byte) *Document {
	return parse(&Document{file: name, literal: true}, src)
}

// Without is a view of a mapping that lacks these keys.
func (n *Node) Without(names ...string) *Node {
	view := *n
	view.fields = slices.DeleteFunc(slices.Clone(n.Fields()), func(f Field) bool { return slices.Contains(names, f.Name) })
	if view.fields == nil {
		view.fields = []Field{}
	}
	return &view
}
