package pipeline

import "context"

// Blob is content to be stored under its digest.
type Blob struct {
	Digest    Digest
	MediaType string
	Data      []byte
}

// Objects is a content-addressed store. Objects never change; writing one that
// is there already is a cheap success.
type Objects interface {
	Closer
	// Put makes all blobs durable on every place asked for, and reads them
	// back, before it returns. It returns how many places hold them.
	Put(ctx context.Context, blobs []Blob) (copies int, err error)
	// Get returns an object's bytes after checking them: ErrNotFound if no
	// place has it, ErrCorrupt if no place has it intact.
	Get(ctx context.Context, d Digest) ([]byte, error)
	// Has reports whether at least one place has the object, unchecked.
	Has(ctx context.Context, d Digest) (bool, error)
	// List calls yield for each object of each place, in digest order inside
	// a place, until it returns false.
	List(ctx context.Context, yield func(ObjectInfo) bool) error
	// Check reads one object from every place and reports each.
	Check(ctx context.Context, d Digest) ([]ObjectCheck, error)
}

// ObjectInfo describes one stored copy.
type ObjectInfo struct {
	Digest Digest `json:"digest"`
	Size   int64  `json:"size"`
	Place  string `json:"place"`
}

// ObjectCheck is the state of one copy of one object.
type ObjectCheck struct {
	ObjectInfo
	// State is ok, missing or corrupt.
	State string `json:"state"`
	// Found is the digest of the bytes that are there, if corrupt.
	Found Digest `json:"found,omitempty"`
}

// ObjectDriver opens object stores behind one URL scheme.
type ObjectDriver struct {
	Scheme string
	Doc    string
	// Copies says that one URL can stand for several copies: ?copies=2.
	Copies bool
	// Check, if it is set, reports what is wrong with a URL, and opens nothing:
	// `waybill check` calls it. place is what reports call it: the URL without
	// secrets and options.
	Check func(url string) (place string, err error)
	// Open opens a store. create makes a missing one; dir is what relative
	// paths are relative to.
	Open func(ctx context.Context, url string, dir string, create bool) (Objects, error)
}
