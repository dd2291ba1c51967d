package cdp

import (
	"context"
	"errors"
	"strings"

	"github.com/chromedp/cdproto"
	proto "github.com/chromedp/cdproto/cdp"
	protoio "github.com/chromedp/cdproto/io"
	"github.com/chromedp/cdproto/page"
)

// printPDF prints into a stream and reads it in parts.
func (t *tab) printPDF(ctx context.Context, o PDF, max int64) ([]byte, error) {
	p := page.PrintToPDFParams{Landscape: &o.Landscape, PrintBackground: &o.Background, Scale: o.Scale, PaperWidth: o.Width, PaperHeight: o.Height,
		MarginTop: o.Margin, MarginBottom: o.Margin, MarginLeft: o.Margin, MarginRight: o.Margin, PageRanges: o.Pages, PreferCSSPageSize: &o.CSSSize,
		TransferMode: page.PrintToPDFTransferModeReturnAsStream}
	r, err := proto.Call(ctx, t.target, page.PrintToPDF, p)
	var refused *cdproto.Error
	if errors.As(err, &refused) && strings.Contains(refused.Message, "rang") {
		return nil, &StateError{"the pages " + o.Pages + " cannot be printed: " + refused.Message}
	}
	if err != nil {
		return nil, err
	}
	return t.readStream(ctx, r.Stream, "the printed page", max)
}

// readStream reads a stream of the browser to its end and closes it.
func (t *tab) readStream(ctx context.Context, h protoio.StreamHandle, what string, max int64) ([]byte, error) {
	defer func() { _, _ = proto.Call(ctx, t.target, protoio.Close, protoio.CloseParams{Handle: h}) }()
	var out []byte
	for {
		part, err := proto.Call(ctx, t.target, protoio.Read, protoio.ReadParams{Handle: h, Size: chunk})
		if err != nil {
			return nil, err
		}
		if out = append(out, part.Data...); int64(len(out)) > max {
			return nil, &TooLargeError{what, int64(len(out)), max, "bytes"}
		}
		if part.EOF {
			return out, nil
		}
	}
}

// snapshot returns the page as MHTML. One that takes more than most bytes in the
// protocol is thrown away as it comes, and the error is *TooLargeError.
func (t *tab) snapshot(ctx context.Context, most int64) (string, error) {
	var r page.CaptureSnapshotResult
	c := with(t.target, page.CaptureSnapshot, page.CaptureSnapshotParams{Format: page.CaptureSnapshotFormatMhtml}, &r)
	c.most = most
	err := t.wire.conn.run(ctx, c)
	return r.Data, err
}

// travel goes to the neighbour of the current entry: -1 back, 1 forward. It
// reports false if there is none.
func (t *tab) travel(ctx context.Context, step int64) (bool, error) {
	h, err := proto.Call(ctx, t.target, page.GetNavigationHistory, proto.Empty{})
	if err != nil {
		return false, err
	}
	to := h.CurrentIndex + step
	if to < 0 || to >= int64(len(h.Entries)) {
		return false, nil
	}
	_, err = proto.Call(ctx, t.target, page.NavigateToHistoryEntry, page.NavigateToHistoryEntryParams{EntryID: h.Entries[to].ID})
	return true, err
}

func (t *tab) reload(ctx context.Context) error {
	_, err := proto.Call(ctx, t.target, page.Reload, page.ReloadParams{})
	return err
}
