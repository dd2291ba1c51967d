package translog

import (
	"bytes"
	"encoding/base64"
	"errors"
	"fmt"
	"strconv"
	"strings"

	"golang.org/x/mod/sumdb/tlog"
)

// Proof shows that an entry is in a log (C2SP tlog-proof). It is enough, with the
// log's verifier key, to check the entry offline.
type Proof struct {
	Index int64
	// Extra is the entry itself, so that the file stands alone. It is only
	// believed because its hash leads to the root.
	Extra []byte
	// Path leads from the entry to the root.
	Path tlog.RecordProof
	// Checkpoint is the signed note.
	Checkpoint []byte
}

const proofHeader = "c2sp.org/tlog-proof@v1\n"

// Marshal renders the proof as text.
func (p *Proof) Marshal() []byte {
	var b bytes.Buffer
	b.WriteString(proofHeader)
	if p.Extra != nil {
		fmt.Fprintf(&b, "extra %s\n", base64.StdEncoding.EncodeToString(p.Extra))
	}
	fmt.Fprintf(&b, "index %d\n", p.Index)
	for _, h := range p.Path {
		fmt.Fprintf(&b, "%s\n", base64.StdEncoding.EncodeToString(h[:]))
	}
	b.WriteByte('\n')
	b.Write(p.Checkpoint)
	return b.Bytes()
}

// ParseProof reads a proof. It accepts exactly what Marshal writes, so that no two
// texts are the same proof. The checkpoint is kept as it is.
func ParseProof(text []byte) (*Proof, error) {
	head, checkpoint, ok := bytes.Cut(text, []byte("\n\n"))
	if !ok {
		return nil, errors.New("no tlog-proof: no empty line before the checkpoint")
	}
	lines := strings.Split(string(head)+"\n", "\n")
	if lines[0]+"\n" != proofHeader {
		return nil, fmt.Errorf("no tlog-proof: the first line is not %q", strings.TrimSpace(proofHeader))
	}
	p := &Proof{Checkpoint: checkpoint}
	lines = lines[1 : len(lines)-1]
	if extra, ok := cutLine(&lines, "extra "); ok {
		b, err := base64.StdEncoding.DecodeString(extra)
		if err != nil {
			return nil, fmt.Errorf("no tlog-proof: extra: %w", err)
		}
		p.Extra = b
	}
	index, ok := cutLine(&lines, "index ")
	var err error
	if p.Index, err = strconv.ParseInt(index, 10, 64); !ok || err != nil || p.Index < 0 {
		return nil, fmt.Errorf("no tlog-proof: %q is not an index", index)
	}
	for _, line := range lines {
		h, err := tlog.ParseHash(line)
		if err != nil {
			return nil, fmt.Errorf("no tlog-proof: %q is not a hash", line)
		}
		p.Path = append(p.Path, h)
	}
	if !bytes.Equal(p.Marshal(), text) {
		return nil, errors.New("no tlog-proof: it is not in its one form (base64 or numbers spelled otherwise)")
	}
	return p, nil
}

func cutLine(lines *[]string, prefix string) (string, bool) {
	if len(*lines) == 0 {
		return "", false
	}
	rest, ok := strings.CutPrefix((*lines)[0], prefix)
	if ok {
		*lines = (*lines)[1:]
	}
	return rest, ok
}

// CheckInclusion reports whether the proof leads from the entry to the root of the
// checkpoint, which is the proof's own, opened.
func (p *Proof) CheckInclusion(c *Checkpoint, entry []byte) error {
	if p.Index >= c.Size {
		return fmt.Errorf("index %d is outside of a log of %d entries", p.Index, c.Size)
	}
	return tlog.CheckRecord(p.Path, c.Size, c.Root, p.Index, tlog.RecordHash(entry))
}
