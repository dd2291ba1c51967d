package pipeline

import (
	"fmt"
	"strconv"
	"strings"
)

const (
	// MetaReserved begins the meta names that are not for users.
	MetaReserved = "waybill."
	// MetaBody is the meta name of an item whose body is kept in an object
	// store: the value is a BodyRef, and the item has no body of its own.
	MetaBody = MetaReserved + "body"
	// MaxReferencedBody is the largest body, in bytes, that an item may refer to:
	// whoever works on the item holds it in memory.
	MaxReferencedBody = 64 << 20
)

// BodyRef names a body that is larger than MaxItemBody by its content. Where
// the object is, the pipeline says (key bodies of the stage claim).
type BodyRef struct {
	Digest Digest
	Size   int64 // in bytes, 1 to MaxReferencedBody
}

// String renders the reference as it stands in meta: "sha256:HEX;size=BYTES".
func (r BodyRef) String() string {
	return string(r.Digest) + ";size=" + strconv.FormatInt(r.Size, 10)
}

// ParseBodyRef reads what String wrote.
func ParseBodyRef(text string) (BodyRef, error) {
	name, size, _ := strings.Cut(text, ";size=")
	digest, err := ParseDigest(name)
	if err != nil {
		return BodyRef{}, fmt.Errorf("%s: want sha256:HEX;size=BYTES: %w", MetaBody, err)
	}
	n, err := strconv.ParseInt(size, 10, 64)
	if err != nil || n < 1 || n > MaxReferencedBody || size != strconv.FormatInt(n, 10) {
		return BodyRef{}, fmt.Errorf("%s: want a size of 1 to %d bytes, not %q", MetaBody, MaxReferencedBody, size)
	}
	return BodyRef{digest, n}, nil
}

// checkBodyRef reports a reference that nobody could follow.
func checkBodyRef(n *NewItem) error {
	text, ok := n.Meta[MetaBody]
	if !ok {
		return nil
	}
	if _, err := ParseBodyRef(text); err != nil {
		return Fail("bad-item", "meta.%w", err)
	}
	if len(n.Body) > 0 {
		return Fail("bad-item", "the item has a body and, in meta.%s, a reference to another", MetaBody)
	}
	return nil
}
