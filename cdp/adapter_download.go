package cdp

import (
	"context"
	"sync"
	"time"

	browserdomain "github.com/chromedp/cdproto/browser"
	proto "github.com/chromedp/cdproto/cdp"
	"github.com/chromedp/cdproto/cdp/jsonv2"
)

// downloads watches the downloads into one folder.
type downloads struct {
	tab  *tab
	dir  *downloadDir
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
func (t *tab) allowDownload(ctx context.Context, dir *downloadDir) (*downloads, error) {
	d := &downloads{tab: t, dir: dir, changed: make(chan struct{}, 1), begun: map[string]download{}}
	unlisten := t.wire.browser.listen([]string{browserdomain.DownloadWillBegin.Method, browserdomain.DownloadProgress.Method}, d.handle)
	d.stop = func() {
		unlisten()
		deny, done := context.WithTimeout(context.WithoutCancel(ctx), time.Second)
		defer done()
		_ = t.wire.conn.run(deny, t.denyDownloads())
	}
	err := t.wire.conn.run(ctx, t.setDownloads(browserdomain.SetDownloadBehaviorParams{
		Behavior: browserdomain.SetDownloadBehaviorBehaviorAllowAndName, DownloadPath: dir.path()}))
	if err != nil {
		d.stop()
		return nil, err
	}
	return d, nil
}

// denyDownloads is how every context begins.
func (t *tab) denyDownloads() command {
	return t.setDownloads(browserdomain.SetDownloadBehaviorParams{Behavior: browserdomain.SetDownloadBehaviorBehaviorDeny})
}

func (t *tab) setDownloads(p browserdomain.SetDownloadBehaviorParams) command {
	// Events are on or off for all contexts together, so nobody switches them off.
	yes := true
	p.BrowserContextID, p.EventsEnabled = t.contextID, &yes
	return with(t.wire.browser, browserdomain.SetDownloadBehavior, p, nil)
}

// handle runs on the reader of the connection, for the downloads of all pages.
func (d *downloads) handle(method string, params jsonv2.Value) {
	d.mu.Lock()
	defer d.mu.Unlock()
	switch method {
	case browserdomain.DownloadWillBegin.Method:
		ev, _ := decode[browserdomain.EventDownloadWillBegin](params)
		d.begun[ev.GUID] = download{guid: ev.GUID, name: ev.SuggestedFilename, url: ev.URL, frame: string(ev.FrameID)}
	case browserdomain.DownloadProgress.Method:
		ev, _ := decode[browserdomain.EventDownloadProgress](params)
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
			ours := d.dir.has(x.guid)
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
