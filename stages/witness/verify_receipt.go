package witness

import (
	"errors"
	"os"
	"path/filepath"

	"golang.org/x/mod/sumdb/tlog"

	"github.com/waybill-dev/waybill/pipeline"
	"github.com/waybill-dev/waybill/stages/internal/cas"
	"github.com/waybill-dev/waybill/stages/witness/internal/translog"
)

// receipt verifies one receipt file, link by link, and stops at the first that is
// broken.
func (v *verification) receipt(path string) pipeline.Verdict {
	verdict := pipeline.Verdict{Subject: path, Index: -1, OK: true}
	text, err := os.ReadFile(path)
	if err != nil {
		fail(&verdict, linkProof, "%v", err)
		return verdict
	}
	p, err := translog.ParseProof(text)
	if err != nil {
		fail(&verdict, linkProof, "%v", err)
		return verdict
	}
	verdict.Index = p.Index
	s := v.checkChain(&verdict, p)
	if s == nil {
		return verdict
	}
	for _, check := range []func(*pipeline.Verdict, *translog.Proof, *Statement){v.checkLog, v.checkOutputs, v.checkDependencies} {
		if check(&verdict, p, s); !verdict.OK {
			break
		}
	}
	return verdict
}

// checkChain follows the receipt's own chain: signature, checkpoint, inclusion,
// statement. It returns the statement if all of it holds.
func (v *verification) checkChain(verdict *pipeline.Verdict, p *translog.Proof) *Statement {
	c, err := v.openCheckpoint(p.Checkpoint)
	switch {
	case errors.Is(err, translog.ErrSignature):
		fail(verdict, translog.LinkSignature, "%v", err)
		return nil
	case err != nil:
		fail(verdict, translog.LinkCheckpoint, "%v", err)
		return nil
	case p.Extra == nil:
		fail(verdict, linkStatement, "the receipt holds no statement (no extra line)")
		return nil
	}
	s, parseErr := ParseStatement(p.Extra)
	if parseErr == nil {
		verdict.Item, verdict.Result = s.item().Item, s.Predicate.BuildDefinition.InternalParameters.Result
	}
	if err := p.CheckInclusion(c, p.Extra); err != nil {
		v.blameInclusion(verdict, p, parseErr, err)
		return nil
	}
	if parseErr != nil {
		fail(verdict, linkStatement, "%v", parseErr)
		return nil
	}
	return s
}

// blameInclusion finds out whether the statement was altered or the path to it:
// the log tells, if there is one.
func (v *verification) blameInclusion(verdict *pipeline.Verdict, p *translog.Proof, parseErr, err error) {
	altered := parseErr != nil
	if v.log != nil && v.log.view.Checkpoint != nil {
		altered = v.log.view.IndexOf(p.Extra) < 0
	}
	if altered {
		fail(verdict, linkStatement, "the statement in the receipt is not the one that was logged as entry %d (it hashes to %v)", p.Index, tlog.RecordHash(p.Extra))
		return
	}
	fail(verdict, linkInclusion, "index and path do not lead from the statement to the root of the checkpoint: %v", err)
}

// checkLog compares the receipt with the log: same history, same entry, same
// statement object.
func (v *verification) checkLog(verdict *pipeline.Verdict, p *translog.Proof, _ *Statement) {
	if v.log == nil {
		verdict.Skipped = append(verdict.Skipped, "log: not given")
		return
	}
	view := v.log.view
	if view.Checkpoint == nil {
		verdict.Skipped = append(verdict.Skipped, "log: its checkpoint does not hold")
		return
	}
	c, err := v.openCheckpoint(p.Checkpoint)
	if err != nil {
		fail(verdict, translog.LinkCheckpoint, "%v", err)
		return
	}
	if c.Size > view.Checkpoint.Size {
		if v.grownTo(c.Size) {
			verdict.Skipped = append(verdict.Skipped, "log: it has grown since verification began")
			return
		}
		fail(verdict, translog.LinkCheckpoint, "the receipt's checkpoint has %d entries, the log only %d: the log was rolled back", c.Size, view.Checkpoint.Size)
		return
	}
	if root, ok := view.RootAt(c.Size); ok && root != c.Root {
		fail(verdict, translog.LinkCheckpoint, "the log forked: its first %d entries do not lead to the root in the receipt", c.Size)
		return
	}
	if view.Entries[p.Index] != tlog.RecordHash(p.Extra) {
		fail(verdict, translog.LinkEntry, "entry %d of the log is not the statement in the receipt", p.Index)
		return
	}
	if problem := v.log.problemWith(pipeline.DigestOf(p.Extra)); problem != "" {
		fail(verdict, linkStatement, "the statement %s is %s", pipeline.DigestOf(p.Extra), problem)
	}
}

// grownTo reports whether the log has got this size by now: receipts that are
// written while we read are ahead of what we read.
func (v *verification) grownTo(size int64) bool {
	raw, err := os.ReadFile(filepath.Join(v.log.dir, translog.CheckpointFile))
	if err != nil {
		return false
	}
	c, err := v.openCheckpoint(raw)
	return err == nil && c.Size >= size
}

// checkOutputs checks every copy of every subject.
func (v *verification) checkOutputs(verdict *pipeline.Verdict, _ *translog.Proof, s *Statement) {
	skipped := false
	for i := range s.Subject {
		r := &s.Subject[i]
		d := r.digest()
		if d == "" {
			fail(verdict, linkStatement, "subject %q has no sha256 digest", r.Name)
			return
		}
		verdict.Outputs = append(verdict.Outputs, pipeline.Output{Name: r.Name, MediaType: r.MediaType, Digest: d,
			Size: r.number(noteSize), Copies: int(r.number(noteCopies))})
		switch {
		case r.keptInLog():
			v.checkKept(verdict, linkObject, r)
		case v.store == nil:
			skipped = true
		default:
			v.checkCopies(verdict, r, d)
		}
		if !verdict.OK {
			return
		}
	}
	if skipped {
		verdict.Skipped = append(verdict.Skipped, "objects: no store given")
	}
}

// checkCopies wants as many intact copies as the receipt promises, and no damaged
// one anywhere.
func (v *verification) checkCopies(verdict *pipeline.Verdict, r *Resource, d pipeline.Digest) {
	checks, err := v.store.Check(v.ctx, d)
	if err != nil {
		fail(verdict, linkObject, "%s %s: %v", r.Name, d, err)
		return
	}
	intact := 0
	for _, c := range checks {
		switch c.State {
		case cas.StateOK:
			intact++
		case cas.StateCorrupt:
			fail(verdict, linkObject, "%s %s is corrupt in %s: it hashes to %s", r.Name, d, c.Place, c.Found)
			return
		}
	}
	if promised := int(max(1, r.number(noteCopies))); intact < promised {
		fail(verdict, linkObject, "%s %s has %d of %d copies: %s", r.Name, d, intact, promised, describe(checks))
	}
}

// checkDependencies checks what the log keeps: the pipeline and the input.
func (v *verification) checkDependencies(verdict *pipeline.Verdict, _ *translog.Proof, s *Statement) {
	deps := s.Predicate.BuildDefinition.ResolvedDependencies
	for i := range deps {
		if deps[i].keptInLog() {
			v.checkKept(verdict, linkDependency, &deps[i])
		}
		if !verdict.OK {
			return
		}
	}
}

func (v *verification) checkKept(verdict *pipeline.Verdict, link string, r *Resource) {
	if v.log == nil {
		return // checkLog said so
	}
	if problem := v.log.problemWith(r.digest()); problem != "" {
		fail(verdict, link, "%s %s is %s", r.Name, r.digest(), problem)
	}
}
