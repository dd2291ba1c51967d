package cdp

import (
	"context"
	"path/filepath"
	"sync"
	"time"

	browserdomain "github.com/chromedp/cdproto/browser"
	proto "github.com/chromedp/cdproto/cdp"
	"github.com/chromedp/chromedp"
)

// downloads watches the downloads into one folder.
type downloads struct {
	tab  *tab
	dir  string
	stop func()

	mu      sync.Mutex
	changed chan struct{} // has room for one signal
	begun   map[string]download
}

// download is one file on its way.
type download struct {
	guid, name, url string
	frame           string
	received        int64
	state           browserdomain.DownloadProgressState
}

// allowDownload lets the page's context download into a folder until stop is
// called.
func (t *tab) allowDownload(ctx context.Context, dir string) (*downloads, error) {
	listen, cancel := context.WithCancel(t.wire.ctx)
	d := &downloads{tab: t, dir: dir, changed: make(chan struct{}, 1), begun: map[string]download{}}
	d.stop = func() {
		cancel()
		deny, done := context.WithTimeout(context.WithoutCancel(ctx), time.Second)
		defer done()
		_ = t.denyDownloads(deny)
	}
	if err := chromedp.ListenBrowser(listen, d.handle); err != nil {
		cancel()
		return nil, err
	}
	err := t.setDownloads(ctx, browserdomain.SetDownloadBehaviorParams{Behavior: browserdomain.SetDownloadBehaviorBehaviorAllowAndName, DownloadPath: dir})
	if err != nil {
		d.stop()
		return nil, err
	}
	return d, nil
}

// denyDownloads is how every context begins.
func (t *tab) denyDownloads(ctx context.Context) error {
	return t.setDownloads(ctx, browserdomain.SetDownloadBehaviorParams{Behavior: browserdomain.SetDownloadBehaviorBehaviorDeny})
}

func (t *tab) setDownloads(ctx context.Context, p browserdomain.SetDownloadBehaviorParams) error {
	// Events are on or off for all contexts together, so nobody switches them off.
	yes := true
	p.BrowserContextID, p.EventsEnabled = t.contextID, &yes
	_, err := proto.Call(ctx, t.wire.browser, browserdomain.SetDownloadBehavior, p)
	return err
}

// handle runs on the reader of the connection, for the downloads of all pages.
func (d *downloads) handle(ev any) {
	d.mu.Lock()
	defer d.mu.Unlock()
	switch ev := ev.(type) {
	case *browserdomain.EventDownloadWillBegin:
		d.begun[ev.GUID] = download{guid: ev.GUID, name: ev.SuggestedFilename, url: ev.URL, frame: string(ev.FrameID)}
	case *browserdomain.EventDownloadProgress:
		x, ok := d.begun[ev.GUID]
		if !ok {
			return
		}
		x.received, x.state = int64(ev.ReceivedBytes), ev.State
		d.begun[ev.GUID] = x
	default:
		return
	}
	select {
	case d.changed <- struct{}{}:
	default:
	}
}

// wait waits for the end of the first download into our folder.
func (d *downloads) wait(ctx context.Context, max int64) (download, error) {
	for {
		for _, x := range d.list() {
			files, _ := filepath.Glob(filepath.Join(d.dir, x.guid+"*"))
			ours := len(files) > 0
			switch {
			case ours && x.received > max:
				_, _ = proto.Call(ctx, d.tab.wire.browser, browserdomain.CancelDownload, browserdomain.CancelDownloadParams{
					GUID: x.guid, BrowserContextID: d.tab.contextID})
				return x, &TooLargeError{"the download", x.received, max, "bytes"}
			case ours && x.state == browserdomain.DownloadProgressStateCompleted:
				return x, nil
			case x.frame == d.tab.targetID && x.state == browserdomain.DownloadProgressStateCanceled:
				return x, &StateError{"the download of " + x.url + " was cancelled"}
			}
		}
		select {
		case <-ctx.Done():
			return download{}, &waitError{"no download has ended", ctx.Err()}
		case <-d.changed:
		}
	}
}

func (d *downloads) list() (out []download) {
	d.mu.Lock()
	defer d.mu.Unlock()
	for _, x := range d.begun {
		out = append(out, x)
	}
	return out
}
