// Package treetest holds the rules about the tree itself that neither the
// compiler nor a linter checks: who may import whom, how long a file may be,
// that nothing registers itself and that nothing committed names a machine.
// It has tests only.
package treetest
