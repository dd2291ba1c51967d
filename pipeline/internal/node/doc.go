// Package node reads a YAML file strictly. It parses the text, refuses what
// makes YAML dangerous, decodes what is left into typed configs, and collects
// every problem with its exact line and column.
//
// What comes in: a file's bytes. What goes out: a tree of Node, each with its
// place and its path in the document ("stages[2].kernel.limits"), or Problems.
//
//	parse.go      text -> tree: size, encoding, one document, syntax errors
//	syntax.go     where a syntax error is (yaml.v3 does not say it reliably)
//	audit.go      one walk over the raw tree: depth, aliases, merge and
//	              duplicate keys, tags, references
//	refs.go       ${env:NAME} and ${file:path}, resolved on parsed scalars
//	node.go       the view that config types see; path.go its paths
//	decode.go     tree -> Go values by reflection; fields.go reads the tags
//	canonical.go  tree -> canonical JSON
//	problem.go    problems and how they look; codes.go their stable names
//
// It is the only package that knows gopkg.in/yaml.v3, and it uses it for
// yaml.Node alone: its decoder panics on some inputs and knows no columns. It
// knows nothing of pipelines, stages or expressions.
package node
