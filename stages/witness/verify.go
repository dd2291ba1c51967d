package witness

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"golang.org/x/mod/sumdb/note"

	"github.com/waybill-dev/waybill/pipeline"
	"github.com/waybill-dev/waybill/stages/internal/cas"
	"github.com/waybill-dev/waybill/stages/internal/durable"
	"github.com/waybill-dev/waybill/stages/witness/internal/translog"
)

// Links that Verdict.Failed names, besides those of the log: entry, tile,
// checkpoint and signature.
const (
	linkProof      = "proof"      // the receipt file itself: missing, misfiled, unreadable
	linkInclusion  = "inclusion"  // the path from statement to root
	linkStatement  = "statement"  // the statement's bytes, in the receipt or the store
	linkObject     = "object"     // an output in the object store
	linkDependency = "dependency" // an input or pipeline that the log keeps
	linkKey        = "key"        // the published verifier key
)

// Verifier returns the verifier of receipts and logs. With no drivers it knows
// file: stores. It reads everything anew, believes nothing but the verifier key,
// needs no network, and never writes.
func Verifier(drivers ...pipeline.ObjectDriver) pipeline.Verifier {
	if len(drivers) == 0 {
		drivers = []pipeline.ObjectDriver{cas.Driver()}
	}
	return func(ctx context.Context, r pipeline.VerifyRequest, yield func(pipeline.Verdict)) (err error) {
		v := &verification{ctx: ctx, request: r, yield: yield}
		if r.Store != "" {
			v.store, err = cas.Open(ctx, drivers, cas.SplitList(r.Store), "", 0, false)
			if err != nil {
				return err
			}
			defer func() { err = errors.Join(err, v.store.Close()) }()
		}
		return v.run()
	}
}

// verification is one request on its way.
type verification struct {
	ctx     context.Context
	request pipeline.VerifyRequest
	yield   func(pipeline.Verdict)

	store pipeline.Objects // nil: not given
	key   note.Verifier
	log   *logFacts // nil: not given
	// opened remembers checkpoints, since a batch shares one.
	opened map[string]checkpointResult
}

type checkpointResult struct {
	checkpoint *translog.Checkpoint
	err        error
}

func (v *verification) run() error {
	r := v.request
	v.opened = map[string]checkpointResult{}
	dir := ""
	switch {
	case r.Log != "":
		var err error
		if dir, err = pipeline.FilePath(r.Log, ""); err != nil {
			return err
		}
		if !isLog(dir) {
			return pipeline.Fail("no-log", "%s is not a log", dir).WithHint("name the folder of a witness stage's log")
		}
		if ok, err := v.readKey(dir); !ok {
			return err
		}
		if err := v.readLog(dir); err != nil {
			return err
		}
	case r.Key == "" || len(r.Receipts) == 0:
		return errors.New("nothing to verify against: give a log, or receipts and the log's verifier key")
	default:
		var err error
		if v.key, _, err = translog.ReadVerifier(r.Key); err != nil {
			return err
		}
	}
	if len(r.Receipts) > 0 {
		for _, path := range r.Receipts {
			verdict := v.receipt(path)
			if verdict.OK && dir != "" && isInside(filepath.Join(dir, receiptsDir), path) {
				v.checkName(&verdict, dir, path)
			}
			v.yield(verdict)
		}
		return v.ctx.Err()
	}
	return v.allReceipts(dir)
}

// readKey takes the key that was given, or the one beside the log. It reports
// whether there is a key to go on with; if not, it has said why.
func (v *verification) readKey(dir string) (bool, error) {
	beside, published, err := translog.ReadVerifier(filepath.Join(dir, translog.VKeyFile))
	switch {
	case errors.Is(err, fs.ErrNotExist):
		v.yield(broken("log", linkKey, -1, "%s is missing: nothing says whose log this is", filepath.Join(dir, translog.VKeyFile)))
	case err != nil:
		v.yield(broken("log", linkKey, -1, "%v", err))
	}
	if v.request.Key == "" {
		v.key = beside
		return err == nil, nil
	}
	given, vkey, keyErr := translog.ReadVerifier(v.request.Key)
	if keyErr != nil {
		return false, keyErr
	}
	if err == nil && vkey != published {
		v.yield(broken("log", linkKey, -1, "the log publishes the key %s, not %s", published, vkey))
	}
	v.key = given
	return true, nil
}

// isLog reports whether a folder has anything of a log that can be verified.
func isLog(dir string) bool {
	for _, name := range []string{translog.CheckpointFile, receiptsDir, "tile"} {
		if exists(filepath.Join(dir, name)) {
			return true
		}
	}
	return false
}

func broken(subject, link string, index int64, format string, args ...any) pipeline.Verdict {
	return pipeline.Verdict{Subject: subject, Index: index, Failed: link, Detail: fmt.Sprintf(format, args...)}
}

// allReceipts verifies every receipt file of the log, and that each item of the
// log has one.
func (v *verification) allReceipts(dir string) error {
	var files []string
	root := filepath.Join(dir, receiptsDir)
	err := filepath.WalkDir(root, func(path string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		if !d.IsDir() {
			files = append(files, path)
		}
		return v.ctx.Err()
	})
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	slices.Sort(files)
	for _, path := range files {
		verdict := v.receipt(path)
		if verdict.OK {
			v.checkName(&verdict, dir, path)
		}
		v.yield(verdict)
		if err := v.ctx.Err(); err != nil {
			return err
		}
	}
	v.missingReceipts(dir, files)
	return nil
}

// checkName makes sure that the receipt is filed under its item, so that nobody
// passes one item's receipt off as another's.
func (v *verification) checkName(verdict *pipeline.Verdict, dir, path string) {
	rel, err := filepath.Rel(real(dir), real(path))
	if err != nil {
		return
	}
	want, ok := v.log.paths[verdict.Index]
	if got := filepath.ToSlash(rel); ok && got != want {
		fail(verdict, linkProof, "the receipt of item %q is filed as %s, want %s", verdict.Item, got, want)
	}
}

// isInside reports whether path is in dir or below it.
func isInside(dir, path string) bool {
	rel, err := filepath.Rel(real(dir), real(path))
	return err == nil && filepath.IsLocal(rel)
}

// real returns the absolute path without symbolic links, as far as it exists.
func real(path string) string {
	if followed, err := filepath.EvalSymlinks(path); err == nil {
		path = followed
	}
	if abs, err := filepath.Abs(path); err == nil {
		path = abs
	}
	return path
}

func (v *verification) missingReceipts(dir string, files []string) {
	have := make(map[string]bool, len(files))
	for _, f := range files {
		have[f] = true
	}
	settled := false
	for _, path := range v.log.latestPaths() {
		file := filepath.Join(dir, filepath.FromSlash(path))
		if !have[file] && !settled {
			// A writer that is at work may be about to write it.
			durable.Settle(filepath.Join(dir, filepath.FromSlash(translog.LockFile)))
			settled = true
		}
		if !have[file] && !exists(file) {
			entry := v.log.latest[path]
			verdict := broken(file, linkProof, entry.index, "the log has entry %d for this item, but there is no receipt", entry.index)
			verdict.Item = entry.item
			v.yield(verdict)
		}
	}
}

func exists(path string) bool {
	_, err := os.Stat(path)
	return err == nil
}

func fail(verdict *pipeline.Verdict, link, format string, args ...any) {
	verdict.OK, verdict.Failed, verdict.Detail = false, link, fmt.Sprintf(format, args...)
}

// openCheckpoint checks a checkpoint's signature, once per text.
func (v *verification) openCheckpoint(raw []byte) (*translog.Checkpoint, error) {
	r, ok := v.opened[string(raw)]
	if !ok {
		r.checkpoint, r.err = translog.OpenCheckpoint(raw, v.key)
		v.opened[string(raw)] = r
	}
	return r.checkpoint, r.err
}

// describe lists the copies that are not ok.
func describe(checks []pipeline.ObjectCheck) string {
	var bad []string
	for _, c := range checks {
		if c.State != cas.StateOK {
			bad = append(bad, c.State+" in "+c.Place)
		}
	}
	return strings.Join(bad, ", ")
}
