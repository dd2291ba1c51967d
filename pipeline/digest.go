package pipeline

import (
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"strings"
)

// Digest names content by its hash, in the form that OCI, sha256sum and
// in-toto agree on: "sha256:" and 64 lower-case hex digits. A Digest is a pure
// function of the content; time, place and randomness never enter it.
type Digest string

const digestPrefix = "sha256:"

// DigestOf returns the digest of b.
func DigestOf(b []byte) Digest {
	sum := sha256.Sum256(b)
	return DigestOfSum(sum)
}

// DigestOfSum wraps a SHA-256 sum that the caller computed while streaming.
func DigestOfSum(sum [sha256.Size]byte) Digest {
	return Digest(digestPrefix + hex.EncodeToString(sum[:]))
}

// ParseDigest checks s and returns it as a Digest. Upper-case hex is refused:
// a digest has one spelling.
func ParseDigest(s string) (Digest, error) {
	h, ok := strings.CutPrefix(s, digestPrefix)
	if !ok || len(h) != 2*sha256.Size {
		return "", fmt.Errorf("%q is not a digest: want sha256: and 64 hex digits", s)
	}
	for _, c := range []byte(h) {
		if (c < '0' || c > '9') && (c < 'a' || c > 'f') {
			return "", fmt.Errorf("%q is not a digest: %q is not a lower-case hex digit", s, c)
		}
	}
	return Digest(s), nil
}

// Hex returns the 64 hex digits without the algorithm.
func (d Digest) Hex() string { return strings.TrimPrefix(string(d), digestPrefix) }

// Short returns the first 12 hex digits, for tables that people read.
func (d Digest) Short() string { return d.Hex()[:min(12, len(d.Hex()))] }
