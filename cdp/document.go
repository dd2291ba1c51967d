package cdp

import (
	"context"
	"errors"
)

// PDF says how to print. Lengths are in inches; zero means Chrome's default
// (US letter, margins of 1 cm).
type PDF struct {
	Width, Height float64
	// Margin on all sides; nil is the default.
	Margin     *float64
	Landscape  bool
	Background bool
	// Scale of the content, 0.1 to 2.
	Scale float64
	// Pages such as 1-3,5; empty: all.
	Pages string
	// CSSSize prefers the size that the page's own style asks for.
	CSSSize bool
}

// PrintPDF prints the page, at most max bytes (0: 50 MiB), and reads it in parts.
func (s *Session) PrintPDF(ctx context.Context, o PDF, max int64) (raw []byte, err error) {
	if max <= 0 {
		max = 50 << 20
	}
	err = s.do(ctx, "the page to be printed", func(ctx context.Context) error {
		raw, err = s.tab.printPDF(ctx, o, max)
		return err
	})
	return raw, err
}

// MHTML returns a snapshot of the page with its parts (RFC 2557), at most max
// bytes (0: 50 MiB). The protocol gives it in one piece, so a page whose parts are
// known to be larger is refused before, and of one that turns out to be larger
// nothing is kept.
func (s *Session) MHTML(ctx context.Context, max int64) (snapshot string, err error) {
	if max <= 0 {
		max = 50 << 20
	}
	err = s.do(ctx, "the page's snapshot", func(ctx context.Context) error {
		var size float64
		if err := s.call(ctx, Locator{}, "weight", map[string]any{}, &size); err != nil {
			return err
		}
		if int64(size) > max {
			return &TooLargeError{"the page with its parts", int64(size), max, "bytes"}
		}
		snapshot, err = s.tab.snapshot(ctx, escaped(max))
		var large *TooLargeError
		if errors.As(err, &large) {
			return &TooLargeError{"the page's snapshot", large.Size, max, "bytes"}
		}
		return err
	})
	if err == nil && int64(len(snapshot)) > max {
		err = &TooLargeError{"the page's snapshot", int64(len(snapshot)), max, "bytes"}
	}
	if err != nil {
		return "", err
	}
	return snapshot, nil
}
