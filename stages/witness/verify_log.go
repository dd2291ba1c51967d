package witness

import (
	"context"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/waybill-dev/waybill/pipeline"
	"github.com/waybill-dev/waybill/stages/internal/cas"
	"github.com/waybill-dev/waybill/stages/witness/internal/translog"
)

// logFacts is what reading the whole log brought to light.
type logFacts struct {
	dir  string
	view *translog.View
	kept *cas.Layout // nil if the log has no objects
	// objects is the state of every object that the log keeps.
	objects map[pipeline.Digest]pipeline.ObjectCheck
	// paths are the receipt files that entries belong to, by index.
	paths map[int64]string
	// latest is the last entry for each receipt file.
	latest map[string]entryFact
	faults []translog.Fault
}

type entryFact struct {
	index int64
	item  string
}

func (f *logFacts) latestPaths() []string { return slices.Sorted(maps.Keys(f.latest)) }

// readLog reads the log and yields its verdicts: one if all is well, else one per
// broken link.
func (v *verification) readLog(dir string) (err error) {
	f := &logFacts{dir: dir, paths: map[int64]string{}, latest: map[string]entryFact{}}
	v.log = f
	if err := f.readObjects(v); err != nil {
		return err
	}
	if f.view, err = translog.ReadView(v.ctx, dir, v.key, f.visit); err != nil {
		return err
	}
	f.faults = append(f.view.Faults, f.faults...)
	for _, fault := range f.faults {
		v.yield(broken("log", fault.Link, fault.Index, "%s", fault.Detail))
	}
	if len(f.faults) == 0 {
		v.yield(f.verdict(v))
	}
	return nil
}

func (f *logFacts) verdict(v *verification) pipeline.Verdict {
	size := f.view.Checkpoint.Size
	verdict := pipeline.Verdict{Subject: "log", Index: size - 1, OK: true,
		Detail: fmt.Sprintf("%d entries of %d items under %s", size, len(f.latest), f.view.Checkpoint.Origin)}
	if v.request.Key == "" {
		verdict.Skipped = append(verdict.Skipped, "signer: the key came with the log, which proves consistency but not who signed; give the verifier key")
	}
	if f.view.Beyond > 0 {
		verdict.Skipped = append(verdict.Skipped, fmt.Sprintf("%d files beyond the checkpoint: an interrupted batch, no part of the log", f.view.Beyond))
	}
	return verdict
}

// readObjects checks every object that the log keeps.
func (f *logFacts) readObjects(v *verification) error {
	f.objects = map[pipeline.Digest]pipeline.ObjectCheck{}
	dir := filepath.Join(f.dir, objectsDir)
	if _, err := os.Stat(dir); err != nil {
		return nil // each statement will be found missing
	}
	l, err := cas.OpenLayout("file:"+dir, dir, false)
	if err != nil {
		f.faults = append(f.faults, translog.Fault{Link: linkStatement, Index: -1, Detail: err.Error()})
		return nil
	}
	f.kept = l
	return l.List(v.ctx, func(o pipeline.ObjectInfo) bool {
		checks, err := l.Check(v.ctx, o.Digest)
		if err != nil {
			f.faults = append(f.faults, translog.Fault{Link: linkObject, Index: -1, Detail: err.Error()})
			return true
		}
		f.objects[o.Digest] = checks[0]
		return true
	})
}

// visit looks at one entry of the log.
func (f *logFacts) visit(index int64, entry []byte) {
	s, err := ParseStatement(entry)
	if err != nil {
		// An entry of the signed log that is no statement: either it was damaged,
		// and the hashes will tell, or somebody else writes to this log.
		f.faults = append(f.faults, translog.Fault{Link: translog.LinkEntry, Index: index, Detail: fmt.Sprintf("entry %d: %v", index, err)})
		return
	}
	path := s.item().path()
	f.paths[index] = path
	f.latest[path] = entryFact{index, s.item().Item}
	f.checkKept(index, linkStatement, "statement", pipeline.DigestOf(entry))
	for _, r := range append(slices.Clone(s.Subject), s.Predicate.BuildDefinition.ResolvedDependencies...) {
		if r.keptInLog() {
			f.checkKept(index, linkDependency, r.Name, r.digest())
		}
	}
}

// checkKept notes a fault if an object that the log keeps is not intact.
func (f *logFacts) checkKept(index int64, link, name string, d pipeline.Digest) {
	if problem := f.problemWith(d); problem != "" {
		f.faults = append(f.faults, translog.Fault{Link: link, Index: index, Detail: fmt.Sprintf("entry %d: %s %s is %s", index, name, d, problem)})
	}
}

// problemWith says what is wrong with an object that the log keeps, or nothing. One
// that was not there when we looked may have been written since.
func (f *logFacts) problemWith(d pipeline.Digest) string {
	c, ok := f.objects[d]
	if !ok && f.kept != nil {
		if checks, err := f.kept.Check(context.Background(), d); err == nil {
			c, ok = checks[0], checks[0].State != cas.StateMissing
			f.objects[d] = c
		}
	}
	switch {
	case !ok || c.State == cas.StateMissing:
		return "missing in " + filepath.Join(f.dir, objectsDir)
	case c.State != cas.StateOK:
		return strings.TrimSpace(c.State + " in " + c.Place)
	}
	return ""
}
