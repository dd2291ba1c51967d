// Package capability is what a kernel may reach beyond its input, and how far:
// HTTP to named hosts, content by digest, named secrets, and a small state.
//
// What comes in: grants, as a pipeline file states them, and requests, as bytes
// that a guest wrote. What goes out: answers as bytes, or an Error with the code
// and message that the guest gets. The package knows no WebAssembly, no items
// and no YAML; package host calls it on behalf of guests, package plugins makes
// a Set out of a stage's `grant`.
//
// A guest is taken for hostile: each number in a request is checked, each
// address is looked at when it is dialled, each answer has a largest size, and no
// message tells more than what the guest asked for and the host's name in it.
// What is not granted is refused, whatever it is.
package capability
