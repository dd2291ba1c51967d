// Package spec embeds what Waybill promises to others: the JSON Schema of
// pipeline files, the specifications of its formats, and the test vectors that
// any implementation of them must pass.
//
//	pipeline.schema.json   generated from the config types (make generate)
//	kernel.schema.json     of a kernel's manifest
//	*.md                   the specifications
//	vectors/config         pipeline files with the problems they must give
//	vectors/...            one folder of vectors per specification
//
// It imports nothing, so that everything may import it.
package spec

import "embed"

// PipelineSchema is the JSON Schema (draft 2020-12) of pipeline files.
//
//go:embed pipeline.schema.json
var PipelineSchema []byte

// KernelSchema is the JSON Schema (draft 2020-12) of a kernel's manifest.
//
//go:embed kernel.schema.json
var KernelSchema []byte

// Vectors holds the test vectors, by their path in this folder
// (vectors/config/tab.yaml).
//
//go:embed vectors
var Vectors embed.FS
