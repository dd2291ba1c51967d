package execute

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"sync"

	"github.com/waybill-dev/waybill/cdp/egress"
	"github.com/waybill-dev/waybill/cdp/recording"
	"github.com/waybill-dev/waybill/pipeline"
)

// archives keeps the capture that was replayed last: often it is that of all
// items.
type archives struct {
	mu      sync.Mutex
	path    string
	digest  pipeline.Digest
	archive *egress.Archive
}

// open returns a capture and its digest.
func (a *archives) open(path string) (*egress.Archive, pipeline.Digest, error) {
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.archive != nil && a.path == path {
		return a.archive, a.digest, nil
	}
	data, err := readCapture(path)
	if err != nil {
		return nil, "", err
	}
	r, err := recording.Parse(data)
	if err != nil {
		return nil, "", err
	}
	a.path, a.digest, a.archive = path, pipeline.DigestOf(data), egress.NewArchive(r.Exchanges)
	return a.archive, a.digest, nil
}

// maxCapture is more than a stage records, decoded and in base64.
const maxCapture = 1 << 30

// readCapture reads a regular file: the name may come from an item, and a pipe or
// a device would never end.
func readCapture(path string) ([]byte, error) {
	info, err := os.Stat(path)
	switch {
	case err != nil:
		return nil, err
	case !info.Mode().IsRegular():
		return nil, errors.New("it is not a regular file")
	case info.Size() > maxCapture:
		return nil, fmt.Errorf("it has more than %d bytes", maxCapture)
	}
	return os.ReadFile(path)
}

// replay returns the capture that the item is answered from, nil if there is
// none. The receipt names it.
func (s *stage) replay(it *pipeline.Item) (*egress.Archive, error) {
	t := s.cfg.Network.Replay
	if t == nil {
		return nil, nil
	}
	path, err := t.Text(it)
	if err != nil {
		return nil, err
	}
	if !filepath.IsAbs(path) {
		path = filepath.Join(s.env.Dir, path)
	}
	archive, digest, err := s.archives.open(path)
	if err != nil {
		return nil, pipeline.Fail("bad-replay", "replay %s: %w", path, err).
			WithHint("replay takes a HAR or a WACZ, as capture: [har] or [wacz] makes them")
	}
	it.DependOn(pipeline.Dependency{Name: "replay", Digest: digest})
	return archive, nil
}
