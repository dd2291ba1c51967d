package execute

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"time"

	"github.com/waybill-dev/waybill/cdp"
	"github.com/waybill-dev/waybill/pipeline"
)

// FailedConfig says what becomes of the captures of items that fail. A failed
// item has no artifacts, so that nothing of an attempt that failed gets into the
// evidence: its captures become files, which the error names.
type FailedConfig struct {
	// Folder of the files, relative to the pipeline file: ID.har, ID.wacz,
	// ID.console.json, ID.trace.json. They are those of the item's last attempt.
	To string `yaml:"to" secret:"false"`
	// Most items of a run whose captures are kept; the default is 100.
	Most int `yaml:"most,optional" min:"1"`
}

// defaultFailed is how many failed items have captures.
const defaultFailed = 100

// failedItems are the items whose captures were kept in this run. The zero value
// is ready.
type failedItems struct {
	mu  sync.Mutex
	ids map[string]bool
}

// admit reports whether there is room for the captures of an item.
func (f *failedItems) admit(id string, most int) bool {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.ids == nil {
		f.ids = map[string]bool{}
	}
	if !f.ids[id] && len(f.ids) >= most {
		return false
	}
	f.ids[id] = true
	return true
}

// failedTimeout bounds what a failed item still asks of its page.
const failedTimeout = 5 * time.Second

// keepFailed writes the captures of an item that failed, and names them in the
// hint of its error. What cannot be had any more is said there too.
func (v *visit) keepFailed(ctx context.Context, err error) error {
	c := v.stage.cfg.CaptureFailed
	kind := pipeline.KindOf(err)
	if err == nil || c == nil || kind == pipeline.Cancelled || kind == pipeline.Unavailable || kind == pipeline.Skip {
		v.dropTrace(ctx)
		return err // nobody will look into it
	}
	most := c.Most
	if most == 0 {
		most = defaultFailed
	}
	if !v.stage.failed.admit(v.item.ID, most) {
		v.dropTrace(ctx)
		return hinted(err, fmt.Sprintf("no capture is kept: %d failed items have one", most))
	}
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), failedTimeout)
	defer cancel()
	var kept, lost []string
	for _, kind := range v.stage.cfg.Capture {
		a, failure := v.capture(ctx, kind)
		if failure == nil {
			failure = v.stage.writeFailed(fileName(v.item.ID)+"."+strings.TrimPrefix(a.Name, "capture."), a.Data)
		}
		if failure != nil {
			lost = append(lost, fmt.Sprintf("no %s: %v", kind, failure))
			continue
		}
		kept = append(kept, kind)
	}
	var says []string
	if len(kept) > 0 {
		says = append(says, fmt.Sprintf("captured (%s): %s.*", strings.Join(kept, ", "), strings.TrimSuffix(c.To, "/")+"/"+fileName(v.item.ID)))
	}
	return hinted(err, strings.Join(append(says, lost...), "; "))
}

// dropTrace ends the trace of an item that nobody looks into: a browser makes one
// at a time, and the next item's would wait 5 s and more for one that ends with its
// page.
func (v *visit) dropTrace(ctx context.Context) {
	if !v.tracing || v.session.Err() != nil {
		return
	}
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), restoreTimeout)
	defer cancel()
	var large *cdp.TooLargeError
	if _, err := v.capture(ctx, captureTrace); err != nil && !errors.As(err, &large) {
		v.session.Poison()
	}
}

// writeFailed replaces a file, so that a reader never sees half of one. Captures
// have what the visitor saw, so only the owner may read them.
func (s *stage) writeFailed(name string, data []byte) error {
	dir := s.cfg.CaptureFailed.To
	if !filepath.IsAbs(dir) {
		dir = filepath.Join(s.env.Dir, dir)
	}
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return pathless(err)
	}
	f, err := os.CreateTemp(dir, ".capture-")
	if err != nil {
		return pathless(err)
	}
	_, err = f.Write(data)
	err = errors.Join(err, f.Close())
	if err == nil {
		err = os.Rename(f.Name(), filepath.Join(dir, name))
	}
	if err != nil {
		return errors.Join(pathless(err), pathless(os.Remove(f.Name())))
	}
	return nil
}

// maxFileName is shorter than what file systems take, to have room for an ending.
const maxFileName = 200

// fileName is an item's id as the name of a file; a long one becomes its digest.
func fileName(id string) string {
	name := url.PathEscape(id)
	if len(name) > maxFileName {
		sum := sha256.Sum256([]byte(id))
		return hex.EncodeToString(sum[:])
	}
	return name
}

// hinted returns a copy of err that says more. Errors may be shared by items.
func hinted(err error, hint string) error {
	e := pipeline.Error{Kind: pipeline.KindOf(err), Code: pipeline.CodeOf(err), Err: err}
	if own, ok := err.(*pipeline.Error); ok {
		e = *own
	}
	if e.Hint != "" && hint != "" {
		hint = e.Hint + "; " + hint
	}
	e.Hint = hint
	return &e
}
