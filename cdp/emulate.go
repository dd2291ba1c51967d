package cdp

import (
	"context"
	"time"
)

// Viewport is how the page's window looks.
type Viewport struct {
	// Width and Height in CSS pixels.
	Width, Height int
	// Scale is device pixels per CSS pixel; default 1.
	Scale float64
	// Mobile follows the viewport meta tag, as phones do.
	Mobile bool
	// Touch lets the page see a touch screen.
	Touch bool
	// Landscape turns the screen.
	Landscape bool
}

// SetViewport sets the window's size and kind.
func (s *Session) SetViewport(ctx context.Context, v Viewport) error {
	if v.Scale == 0 {
		v.Scale = 1
	}
	return s.override(ctx, "the viewport", func(ctx context.Context) error { return s.tab.setViewport(ctx, v) })
}

// Network is the connection that the page is made to believe in.
type Network struct {
	// Offline cuts it.
	Offline bool
	// Latency is added before each answer.
	Latency time.Duration
	// Download and Upload in bytes per second; negative: no limit.
	Download, Upload float64
}

// EmulateNetwork slows the page's connection down, or cuts it.
func (s *Session) EmulateNetwork(ctx context.Context, n Network) error {
	return s.override(ctx, "the network conditions", func(ctx context.Context) error { return s.tab.setNetwork(ctx, n) })
}

// Device is what the page is told about who looks at it. Empty fields change
// nothing.
type Device struct {
	// UserAgent with AcceptLanguage and Platform (navigator.platform).
	UserAgent, AcceptLanguage, Platform string
	// Locale (de-DE) of numbers and dates.
	Locale string
	// Timezone by its IANA name: Europe/Berlin.
	Timezone string
	// ColorScheme is light or dark; ReducedMotion is reduce or no-preference;
	// Media is screen or print.
	ColorScheme, ReducedMotion, Media string
}

// EmulateDevice sets what the page is told.
func (s *Session) EmulateDevice(ctx context.Context, d Device) error {
	return s.override(ctx, "the device", func(ctx context.Context) error { return s.tab.setDevice(ctx, d) })
}

// Geolocation is a place on Earth, in degrees and metres.
type Geolocation struct{ Latitude, Longitude, Accuracy float64 }

// SetGeolocation lets pages ask for a position and tells them this one.
func (s *Session) SetGeolocation(ctx context.Context, g Geolocation) error {
	return s.override(ctx, "the position", func(ctx context.Context) error { return s.tab.setGeolocation(ctx, g) })
}

// SetHeaders adds headers to every request of the page; an empty map takes them
// back.
func (s *Session) SetHeaders(ctx context.Context, headers map[string]string) error {
	return s.override(ctx, "the headers", func(ctx context.Context) error { return s.tab.setHeaders(ctx, headers) })
}

func (s *Session) override(ctx context.Context, what string, set func(context.Context) error) error {
	s.overridden.Store(true)
	return s.do(ctx, what+" to be set", set)
}

// Restore takes back what was emulated and lets go of all keys, for pages that
// are used again; others are not if anything is emulated at their end. It does
// nothing if there is nothing to take back.
func (s *Session) Restore(ctx context.Context) error {
	for len(s.held.down) > 0 {
		if err := s.KeyUp(ctx, s.held.down[0].code); err != nil {
			return err
		}
	}
	if !s.overridden.Load() {
		return nil
	}
	return s.do(ctx, "what was emulated to be taken back", func(ctx context.Context) error {
		if err := s.tab.restore(ctx, s.browser.opts.Page); err != nil {
			return err
		}
		s.overridden.Store(false)
		return nil
	})
}
