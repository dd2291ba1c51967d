package witness

import (
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	"github.com/waybill-dev/waybill/pipeline"
	"github.com/waybill-dev/waybill/stages/internal/durable"
	"github.com/waybill-dev/waybill/stages/witness/internal/translog"
)

// Folders and names below the log's folder.
const (
	receiptsDir    = "receipts"
	objectsDir     = "objects"
	proofSuffix    = ".tlog-proof"
	childrenSuffix = ".children"
)

// maxFileName bounds an escaped name, so that with suffix and temporary names it
// stays below the 255 bytes of most file systems.
const maxFileName = 180

// path returns the slash-separated path of an item's receipt below the log's
// folder: receipts/<queue>/<item>.tlog-proof. Children have a folder of their
// claimed item's, because their ids are only unique inside it: a queue may have an
// item "a/0" beside the child 0 of "a".
func (e External) path() string {
	path := receiptsDir + "/"
	if e.Queue != "" {
		path += escapeName(e.Queue) + "/"
	}
	if e.Root != "" {
		path += escapeName(e.Root) + childrenSuffix + "/"
	}
	return path + escapeName(e.Item) + proofSuffix
}

// escapeName makes any text a file name, one to one: bytes other than letters,
// digits, dash, underscore and dot (not in front) become %XX; a long name keeps its
// beginning, followed by %- and its SHA-256.
func escapeName(name string) string {
	var b strings.Builder
	for i := range len(name) {
		c := name[i]
		plain := c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z' || c >= '0' && c <= '9' || c == '-' || c == '_' || c == '.' && i > 0
		if plain {
			b.WriteByte(c)
		} else {
			fmt.Fprintf(&b, "%%%02X", c)
		}
	}
	if b.Len() > maxFileName {
		sum := sha256.Sum256([]byte(name))
		return b.String()[:maxFileName-2*sha256.Size-2] + "%-" + hex.EncodeToString(sum[:])
	}
	return b.String()
}

// receipts is the folder of receipt files. It is only written by who holds the
// log's lock.
type receipts struct {
	dir    string // the log's folder
	writer durable.Writer
}

func (r *receipts) path(e External) string {
	return filepath.Join(r.dir, filepath.FromSlash(e.path()))
}

// write files the receipts of one batch. The error of an item that somebody else
// has witnessed under a newer token, before or in this batch, is ErrLeaseLost.
func (r *receipts) write(statements []*Statement, proofs []translog.Proof) ([]error, error) {
	errs := make([]error, len(proofs))
	stays := map[string]int{} // by path: the statement whose receipt it becomes
	for i, s := range statements {
		path := r.path(s.item())
		j, twice := stays[path]
		switch {
		case twice && outranks(statements[j], s):
			errs[i] = overtaken(s, statements[j])
		case twice:
			if outranks(s, statements[j]) {
				errs[j] = overtaken(statements[j], s)
			}
			stays[path] = i
		default:
			if old, _, err := readReceipt(path); err == nil && outranks(old, s) {
				errs[i] = overtaken(s, old)
				continue
			}
			stays[path] = i
		}
	}
	files := make([]durable.File, 0, len(stays))
	for i, s := range statements {
		if path := r.path(s.item()); errs[i] == nil && stays[path] == i {
			files = append(files, durable.File{Path: path, Data: proofs[i].Marshal()})
		}
	}
	return errs, r.writer.Write(files...)
}

func overtaken(s, by *Statement) error {
	return fmt.Errorf("a receipt with token %d is there already, this one has %d: %w", by.token(), s.token(), pipeline.ErrLeaseLost)
}

func (s *Statement) token() int64 { return s.Predicate.BuildDefinition.InternalParameters.Token }

// outranks reports whether a receipt must not be replaced by that of the statement
// s: both are about the same enqueued item, and it has the newer fencing token.
func outranks(old, s *Statement) bool {
	enqueued := old.Predicate.BuildDefinition.InternalParameters.Enqueued
	return enqueued != "" && enqueued == s.Predicate.BuildDefinition.InternalParameters.Enqueued &&
		old.item() == s.item() && old.token() > s.token()
}

// readReceipt reads a receipt file, unchecked.
func readReceipt(path string) (*Statement, *translog.Proof, error) {
	text, err := os.ReadFile(path)
	if err != nil {
		return nil, nil, err
	}
	p, err := translog.ParseProof(text)
	if err != nil {
		return nil, nil, err
	}
	s, err := ParseStatement(p.Extra)
	return s, p, err
}

// restore writes the receipts that a crash kept from being written: those of the
// last entries. It stops when as many entries in a row as one batch can have are
// in order.
func (r *receipts) restore(log *translog.Log) error {
	var files []durable.File
	seen := map[string]bool{}
	inOrder := 0
	err := log.Prove(func(p translog.Proof) (bool, error) {
		s, err := ParseStatement(p.Extra)
		if err != nil {
			return false, fmt.Errorf("entry %d: %w", p.Index, err)
		}
		path := r.path(s.item())
		if !seen[path] && r.lacks(path, s, p.Index) {
			files = append(files, durable.File{Path: path, Data: p.Marshal()})
			inOrder = 0
		} else {
			inOrder++
		}
		seen[path] = true
		if inOrder < maxBatch && p.Index > 0 {
			return true, nil
		}
		return false, r.writer.Write(files...)
	})
	return err
}

// lacks reports whether the receipt at path is missing or older than this entry.
func (r *receipts) lacks(path string, s *Statement, index int64) bool {
	old, p, err := readReceipt(path)
	if err != nil {
		return errors.Is(err, fs.ErrNotExist) // a damaged one is for verify to name
	}
	return p.Index < index && !outranks(old, s)
}
