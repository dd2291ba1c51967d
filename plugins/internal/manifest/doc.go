// Package manifest reads and writes what a kernel says about itself: its name
// and version, its ports, the capabilities that it wants, the JSON Schema of its
// configuration, and samples.
//
// What comes in: a module, or the JSON beside a kernel's source (kernel.json).
// What goes out: a Manifest in which everything fits together, or every problem
// at once, each with its path in the JSON. The manifest is the custom section
// k1_meta (spec/kernel-abi.md), so that reading it runs no code and works for
// every dialect. It may come from a stranger: its size, its nesting and the work
// that its schema can cause are bounded, and nothing outside of it is loaded.
//
//   - manifest.go: the types; parse.go: JSON to them; check.go: what a schema
//     cannot say
//   - section.go: the custom section
//   - strict.go: JSON that no two readers read differently
//   - language.go, pattern.go: the part of JSON Schema that a kernel's
//     configuration may use, and what a check against it costs; metaschema.json:
//     the shape of its keywords
//   - schema.go: a schema, and the program's own
//   - compile.go: a schema to rules; evaluate.go: a value against rules, which
//     logic.go, object.go, list.go and scalar.go have by keyword; covered.go: what
//     unevaluated* asks for; equal.go: which values are the same
//   - words.go: bounds and allowed values for people
//   - problem.go: findings and their paths
//
// It must not know how a kernel is compiled, run or granted anything.
package manifest
