package translog

import (
	"encoding/base64"
	"errors"
	"fmt"
	"strconv"
	"strings"

	"golang.org/x/mod/sumdb/note"
	"golang.org/x/mod/sumdb/tlog"
)

// Checkpoint is a signed tree head (C2SP tlog-checkpoint).
type Checkpoint struct {
	Origin string
	Size   int64
	Root   tlog.Hash
	// Raw is the signed note.
	Raw []byte
}

// ErrSignature is returned for a checkpoint whose signature does not hold.
var ErrSignature = errors.New("the checkpoint's signature does not hold")

func (c *Checkpoint) text() string {
	return fmt.Sprintf("%s\n%d\n%s\n", c.Origin, c.Size, base64.StdEncoding.EncodeToString(c.Root[:]))
}

func signCheckpoint(s *signer, size int64, root tlog.Hash) (*Checkpoint, error) {
	c := &Checkpoint{Origin: s.Name(), Size: size, Root: root}
	raw, err := note.Sign(&note.Note{Text: c.text()}, s)
	if err != nil {
		return nil, fmt.Errorf("sign checkpoint: %w", err)
	}
	c.Raw = raw
	return c, nil
}

// OpenCheckpoint checks the signature of a checkpoint and returns it. It accepts
// one spelling only: no extension lines, no second encoding of the same bits.
// Cosignatures by keys that it does not know are left alone.
func OpenCheckpoint(raw []byte, v note.Verifier) (*Checkpoint, error) {
	n, err := note.Open(raw, note.VerifierList(v))
	if err != nil {
		return nil, fmt.Errorf("%w: %w", ErrSignature, err)
	}
	for _, sig := range append(n.Sigs, n.UnverifiedSigs...) {
		bits, err := base64.StdEncoding.DecodeString(sig.Base64)
		if err != nil || base64.StdEncoding.EncodeToString(bits) != sig.Base64 {
			return nil, fmt.Errorf("%w: it is not in its one base64 form", ErrSignature)
		}
	}
	lines := strings.Split(n.Text, "\n")
	if len(lines) != 4 {
		return nil, fmt.Errorf("checkpoint: want three lines (origin, size, root), found %d", len(lines)-1)
	}
	c := &Checkpoint{Origin: lines[0], Raw: raw}
	if c.Size, err = strconv.ParseInt(lines[1], 10, 64); err != nil || c.Size < 0 {
		return nil, fmt.Errorf("checkpoint: %q is not a size", lines[1])
	}
	if c.Root, err = tlog.ParseHash(lines[2]); err != nil {
		return nil, fmt.Errorf("checkpoint: %q is not a root hash", lines[2])
	}
	if c.text() != n.Text || c.Origin != v.Name() {
		return nil, fmt.Errorf("checkpoint: it is for %q, the key for %q", c.Origin, v.Name())
	}
	return c, nil
}
