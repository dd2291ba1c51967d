package pipeline

import "io"

// KernelTransfer is one push or pull.
type KernelTransfer struct {
	// File is the module (or, to push, the folder of a project that was built);
	// empty means that a pulled module is only kept in the cache.
	File string
	// Ref is oci://registry/name:tag; a pull takes @sha256:... too.
	Ref      string
	CacheDir string
	// Progress takes lines about transfers that take long; it may be nil.
	Progress io.Writer
}

// KernelArtifact is a module in a registry.
type KernelArtifact struct {
	Ref string `json:"ref"`
	// Pinned is the reference that always means this content.
	Pinned   string `json:"pinned"`
	Manifest Digest `json:"manifest"` // of the OCI manifest
	Digest   Digest `json:"digest"`   // of the module
	Size     int64  `json:"size"`     // of the module, in bytes
	Name     string `json:"name,omitempty"`
	Version  string `json:"version,omitempty"`
	File     string `json:"file,omitempty"`
}

// KernelLock asks for the pins of a pipeline file.
type KernelLock struct {
	// File is the pipeline file; Set is what its stages are made of.
	File string
	Set  *Set
	// Update asks the registry again for tags that are pinned already.
	Update   bool
	CacheDir string
	Progress io.Writer
}

// KernelLocked is what a lock file says of one pipeline file.
type KernelLocked struct {
	// File is the lock file. Pins of other pipeline files in the folder stay.
	File string      `json:"file"`
	Pins []KernelPin `json:"pins"`
}

// What became of a pin.
const (
	PinNew   = "new"
	PinKept  = "kept"
	PinMoved = "moved" // the tag stands for something else now
)

// KernelPin is the content that a tag stands for.
type KernelPin struct {
	Use      string `json:"use"` // as in the pipeline file
	Manifest Digest `json:"manifest"`
	Digest   Digest `json:"digest"` // of the module
	Size     int64  `json:"size"`   // of the module, in bytes
	Change   string `json:"change"` // new, kept or moved
	Was      Digest `json:"was,omitempty"`
}
