// Package ferrettest shows why the driver refuses FerretDB 1: two workers may
// claim the same document there. It is a module of its own, because FerretDB 1
// is a whole server that nothing else needs; `make peers` runs it.
package ferrettest
