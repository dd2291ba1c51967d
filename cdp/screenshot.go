package cdp

import (
	"bytes"
	"context"
	"fmt"
	"image"
	"image/jpeg"
	"image/png"
	"math"
)

// Screenshot says what to take a picture of. The zero value is the viewport as
// PNG.
type Screenshot struct {
	// Format is png (the default) or jpeg.
	Format string
	// Quality of a JPEG, 1 to 100; default 80.
	Quality int
	// FullPage takes the whole document instead of the viewport.
	FullPage bool
	// Element, if it has selectors, is taken instead, once it is visible.
	Element Locator
}

// MediaType returns the picture's media type.
func (o Screenshot) MediaType() string {
	if o.Format == "jpeg" {
		return "image/jpeg"
	}
	return "image/png"
}

const (
	// maxPixels caps a picture: Chrome needs several times 4 bytes for each.
	maxPixels = 25_000_000
	// tileHeight is what Chrome draws in one go; higher pictures fail or come
	// out empty ("Page is too large"), so they are taken in tiles and joined.
	tileHeight = 4096
)

// rect is a rectangle of the document in CSS pixels.
type rect struct {
	X      float64 `json:"x"`
	Y      float64 `json:"y"`
	Width  float64 `json:"width"`
	Height float64 `json:"height"`
}

// Screenshot takes a picture. More than 25 megapixels are a *TooLargeError,
// never a part of the page.
func (s *Session) Screenshot(ctx context.Context, o Screenshot) (picture []byte, err error) {
	if o.Format == "" {
		o.Format = "png"
	}
	if o.Quality == 0 {
		o.Quality = 80
	}
	what := "the screenshot"
	if o.Element.Selectors != nil {
		what = "element " + o.Element.String() + " to be visible for a screenshot"
	}
	err = s.do(ctx, what, func(ctx context.Context) error {
		clip, err := s.clip(ctx, o)
		if err == nil {
			picture, err = s.tiles(ctx, o, clip)
		}
		return err
	})
	return picture, err
}

// clip returns the rectangle to take, or nil for the viewport.
func (s *Session) clip(ctx context.Context, o Screenshot) (*rect, error) {
	var r rect
	switch {
	case o.Element.Selectors != nil:
		var err error
		if r, err = s.rectOf(ctx, o.Element); err != nil {
			return nil, err
		}
	case o.FullPage:
		w, h, err := s.tab.contentSize(ctx)
		if err != nil {
			return nil, err
		}
		r = rect{Width: w, Height: h}
	default:
		return nil, nil
	}
	// Whole pixels, so that tiles join without a seam.
	r = rect{math.Floor(r.X), math.Floor(r.Y), math.Ceil(r.Width + r.X - math.Floor(r.X)), math.Ceil(r.Height + r.Y - math.Floor(r.Y))}
	if pixels := r.Width * r.Height; pixels > maxPixels {
		return nil, &TooLargeError{fmt.Sprintf("the screenshot (%.0fx%.0f)", r.Width, r.Height), int64(pixels), maxPixels, "pixels"}
	}
	return &r, nil
}

// rectOf returns the rectangle of an element in the main document.
func (s *Session) rectOf(ctx context.Context, element Locator) (rect, error) {
	if _, _, err := s.ready(ctx, element, needs{}, nil, false); err != nil {
		return rect{}, err
	}
	a, at, err := s.untilAt(ctx, element, "rect", map[string]any{})
	if err != nil || len(at.around) == 0 {
		return a.Rect, err
	}
	// In a frame the rectangle is one of the frame's viewport: its corner goes
	// outward, and the main document's scroll position is added.
	x, y, _, err := s.outward(ctx, at, a.X, a.Y, false)
	if err != nil {
		return rect{}, err
	}
	scrolled, err := s.tab.scrollPosition(ctx)
	return rect{x + scrolled.X, y + scrolled.Y, a.Rect.Width, a.Rect.Height}, err
}

// tiles takes the picture, in parts if it is high.
func (s *Session) tiles(ctx context.Context, o Screenshot, clip *rect) ([]byte, error) {
	if clip == nil || clip.Height <= tileHeight {
		return s.tab.capture(ctx, o.Format, o.Quality, clip)
	}
	// Tiles have the picture's width, so one under the other is one after the
	// other in memory.
	whole := &image.NRGBA{Stride: 4 * int(clip.Width), Rect: image.Rect(0, 0, int(clip.Width), int(clip.Height))}
	for y := 0.0; y < clip.Height; y += tileHeight {
		part := rect{clip.X, clip.Y + y, clip.Width, math.Min(tileHeight, clip.Height-y)}
		raw, err := s.tab.capture(ctx, "png", 0, &part)
		if err != nil {
			return nil, err
		}
		pixels, err := decodeTile(raw, int(part.Width), int(part.Height))
		if err != nil {
			return nil, fmt.Errorf("screenshot tile at %v: %w", y, err)
		}
		whole.Pix = append(whole.Pix, pixels...)
	}
	return encode(whole, o)
}

// decodeTile returns the pixels of an opaque PNG of this size. Without
// transparency the two layouts that Go decodes to are the same.
func decodeTile(raw []byte, width, height int) ([]byte, error) {
	img, err := png.Decode(bytes.NewReader(raw))
	if err != nil {
		return nil, err
	}
	if b := img.Bounds(); b.Dx() != width || b.Dy() != height {
		return nil, fmt.Errorf("it is %dx%d, not %dx%d", b.Dx(), b.Dy(), width, height)
	}
	switch img := img.(type) {
	case *image.RGBA:
		return img.Pix, nil
	case *image.NRGBA:
		return img.Pix, nil
	}
	return nil, fmt.Errorf("its pixels are %T", img)
}

func encode(whole image.Image, o Screenshot) ([]byte, error) {
	var b bytes.Buffer
	var err error
	if o.Format == "jpeg" {
		err = jpeg.Encode(&b, whole, &jpeg.Options{Quality: o.Quality})
	} else {
		err = (&png.Encoder{CompressionLevel: png.BestSpeed}).Encode(&b, whole)
	}
	return b.Bytes(), err
}
