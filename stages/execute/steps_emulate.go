package execute

import (
	"context"
	"encoding/json"
	"slices"
	"strings"
	"time"

	"github.com/waybill-dev/waybill/cdp"
	"github.com/waybill-dev/waybill/pipeline"
)

// setViewport sets the size of the page's window and the kind of its screen.
type setViewport struct {
	// Width in CSS pixels.
	Width int `yaml:"width" min:"1" max:"10000"`
	// Height in CSS pixels.
	Height int `yaml:"height" min:"1" max:"10000"`
	// Device pixels in a CSS pixel; the default is 1.
	DeviceScaleFactor float64 `yaml:"deviceScaleFactor,optional" min:"0" max:"10"`
	// Follow the viewport meta tag, as phones do.
	IsMobile bool `yaml:"isMobile,optional"`
	// Have a touch screen.
	HasTouch bool `yaml:"hasTouch,optional"`
	// Turn the screen.
	IsLandscape bool `yaml:"isLandscape,optional"`
	// Page that is meant; there is only main.
	Target target `yaml:"target,optional"`
}

func (a *setViewport) run(ctx context.Context, v *visit) error {
	return v.session.SetViewport(ctx, cdp.Viewport{Width: a.Width, Height: a.Height, Scale: a.DeviceScaleFactor, Mobile: a.IsMobile,
		Touch: a.HasTouch, Landscape: a.IsLandscape})
}

// emulateNetwork makes the page's connection slow; with download and upload 0
// the page is offline.
type emulateNetwork struct {
	// Bytes per second that come in; -1 is no limit.
	Download float64 `yaml:"download" min:"-1"`
	// Bytes per second that go out; -1 is no limit.
	Upload float64 `yaml:"upload" min:"-1"`
	// Time added before each answer, with a unit or in milliseconds.
	Latency millis `yaml:"latency"`
	// Page that is meant; there is only main.
	Target target `yaml:"target,optional"`
}

func (a *emulateNetwork) run(ctx context.Context, v *visit) error {
	return v.session.EmulateNetwork(ctx, cdp.Network{Offline: a.Download == 0 && a.Upload == 0, Download: a.Download, Upload: a.Upload,
		Latency: time.Duration(a.Latency)})
}

// emulate tells the page that somebody else looks at it. It counts from the next
// navigation on.
type emulate struct {
	// A phone or tablet by its name, such as iPhone 13 or iPad Mini landscape:
	// its window and its user agent.
	Device string `yaml:"device,optional" secret:"false"`
	// Languages that are asked for: de-DE,de.
	AcceptLanguage string `yaml:"acceptLanguage,optional" secret:"false"`
	// Locale of numbers and dates: de-DE.
	Locale string `yaml:"locale,optional" secret:"false"`
	// Time zone by its IANA name: Europe/Berlin.
	Timezone string `yaml:"timezone,optional" secret:"false"`
	// Colours that the reader prefers.
	ColorScheme string `yaml:"colorScheme,optional" enum:"light|dark"`
	// Whether the reader wants less movement.
	ReducedMotion string `yaml:"reducedMotion,optional" enum:"reduce|no-preference"`
	// What the page is shown on.
	Media string `yaml:"media,optional" enum:"screen|print"`
}

func (a *emulate) scalar() any { return &a.Device }

func (a *emulate) check(n *pipeline.Node) {
	if *a == (emulate{}) {
		n.Problem(pipeline.CodeEmptyValue, "add device, locale, timezone, colorScheme, ...", "there is nothing to emulate")
	}
	at := n
	if n.Kind() == pipeline.KindMap {
		at = n.Lookup("device")
	}
	if _, _, ok := cdp.LookupDevice(a.Device); a.Device != "" && !ok {
		hint := pipeline.Suggest(a.Device, cdp.DeviceNames())
		if len(hint) > 80 {
			hint = "iPhone 13, Pixel 5, iPad Mini, Galaxy S9+, ... as Chrome's DevTools name them"
		}
		at.Problem(pipeline.CodeBadValue, hint, "there is no device %q", a.Device)
	}
	if _, err := time.LoadLocation(a.Timezone); a.Timezone != "" && err != nil {
		n.Lookup("timezone").Problem(pipeline.CodeBadValue, "an IANA name such as Europe/Berlin", "there is no time zone %q", a.Timezone)
	}
}

func (a *emulate) run(ctx context.Context, v *visit) error {
	var d cdp.Device
	if a.Device != "" {
		window, device, _ := cdp.LookupDevice(a.Device)
		if err := v.session.SetViewport(ctx, window); err != nil {
			return err
		}
		d = device
	}
	d.AcceptLanguage, d.Locale, d.Timezone = a.AcceptLanguage, a.Locale, a.Timezone
	d.ColorScheme, d.ReducedMotion, d.Media = a.ColorScheme, a.ReducedMotion, a.Media
	return v.session.EmulateDevice(ctx, d)
}

// userAgent sets what pages are told about the browser, from the next
// navigation on.
type userAgent struct {
	// The whole user agent.
	Value pipeline.Template `yaml:"value"`
}

func (a *userAgent) scalar() any { return &a.Value }

func (a *userAgent) run(ctx context.Context, v *visit) error {
	agent, err := a.Value.Text(v.item)
	if err != nil {
		return err
	}
	return v.session.EmulateDevice(ctx, cdp.Device{UserAgent: agent})
}

// headers adds headers to every request of the page from now on: names to
// values. It replaces those that an earlier step added.
type headers struct{ values headerValues }

// headerValues adds headers to every request of the page from now on: names to
// values. It replaces those that an earlier step added.
type headerValues map[string]pipeline.Template // for schema and reference: headers itself looks at the names

// UnmarshalNode reads names and values.
func (a *headers) UnmarshalNode(n *pipeline.Node) {
	n.Decode(&a.values)
	for _, f := range n.Fields() {
		if !headerName(f.Name) {
			f.Key.Problem(pipeline.CodeBadKey, "", "%q cannot be the name of a header", f.Name)
		}
	}
}

// headerName reports whether a name is a token (RFC 9110, 5.6.2).
func headerName(s string) bool {
	for _, r := range s {
		if r <= ' ' || r >= 0x7f || strings.ContainsRune(`"(),/:;<=>?@[\]{}`, r) {
			return false
		}
	}
	return s != ""
}

func (a *headers) run(ctx context.Context, v *visit) error {
	set := map[string]string{}
	for name, t := range a.values {
		value, err := t.Text(v.item)
		if err != nil {
			return err
		}
		set[name] = value
	}
	return v.session.SetHeaders(ctx, set)
}

// geolocation lets the page ask for the position and tells it this one.
type geolocation struct {
	// Degrees north.
	Latitude float64 `yaml:"latitude" min:"-90" max:"90"`
	// Degrees east.
	Longitude float64 `yaml:"longitude" min:"-180" max:"180"`
	// Metres; the default is 10.
	Accuracy float64 `yaml:"accuracy,optional" min:"0"`
}

func (a *geolocation) run(ctx context.Context, v *visit) error {
	g := cdp.Geolocation{Latitude: a.Latitude, Longitude: a.Longitude, Accuracy: a.Accuracy}
	if g.Accuracy == 0 {
		g.Accuracy = 10
	}
	return v.session.SetGeolocation(ctx, g)
}

// cookies reads, sets and removes cookies of the page's context, in the order
// clear, set, get.
type cookies struct {
	// Remove all cookies.
	Clear bool `yaml:"clear,optional"`
	// Cookies to set.
	Set []cookie `yaml:"set,optional"`
	// Field of the body that takes the cookies, as a list of objects. What they
	// hold may be a secret: name one with only to take no more than needed.
	Get string `yaml:"get,optional"`
	// Read only the cookies with these names.
	Only []string `yaml:"only,optional"`
	// Read only the cookies that are sent to these addresses.
	URLs []pipeline.Template `yaml:"urls,optional"`
}

// cookie is one cookie to set.
type cookie struct {
	// Name of the cookie.
	Name string `yaml:"name"`
	// What it holds.
	Value pipeline.Template `yaml:"value"`
	// Address that it belongs to; the default is the current page.
	URL *pipeline.Template `yaml:"url,optional"`
	// Host that it belongs to; with a leading dot also those below it.
	Domain string `yaml:"domain,optional" secret:"false"`
	// Path that it belongs to.
	Path string `yaml:"path,optional" secret:"false"`
	// How long it lives; the default is the session.
	MaxAge pipeline.Duration `yaml:"maxAge,optional" min:"1s"`
	// Only by https.
	Secure bool `yaml:"secure,optional"`
	// Not for scripts.
	HTTPOnly bool `yaml:"httpOnly,optional"`
	// Which requests of other sites carry it.
	SameSite string `yaml:"sameSite,optional" enum:"Strict|Lax|None"`
}

func (a *cookies) check(n *pipeline.Node) {
	if !a.Clear && len(a.Set) == 0 && a.Get == "" {
		n.Problem(pipeline.CodeEmptyValue, "add clear, set or get", "there is nothing to do with cookies")
	}
	if a.Get == "" && (a.Only != nil || a.URLs != nil) {
		n.Problem(pipeline.CodeMissingKey, "get: cookies", "only and urls are about get")
	}
}

func (a *cookies) run(ctx context.Context, v *visit) error {
	if a.Clear {
		if err := v.session.ClearCookies(ctx); err != nil {
			return err
		}
	}
	if err := a.set(ctx, v); err != nil || a.Get == "" {
		return err
	}
	urls := make([]string, len(a.URLs))
	for i := range a.URLs {
		var err error
		if urls[i], err = a.URLs[i].Text(v.item); err != nil {
			return err
		}
	}
	list, err := v.session.Cookies(ctx, urls...)
	if err != nil {
		return err
	}
	return v.keepCookies(a.Get, list, a.Only)
}

func (a *cookies) set(ctx context.Context, v *visit) error {
	var list []cdp.Cookie
	for i := range a.Set {
		c := &a.Set[i]
		value, err := c.Value.Text(v.item)
		if err != nil {
			return err
		}
		url, err := optionalText(c.URL, v.item)
		if err != nil {
			return err
		}
		k := cdp.Cookie{Name: c.Name, Value: value, URL: url, Domain: c.Domain, Path: c.Path, Secure: c.Secure, HTTPOnly: c.HTTPOnly, SameSite: c.SameSite}
		if c.MaxAge > 0 {
			k.Expires = float64(time.Now().Add(c.MaxAge.D()).Unix())
		}
		list = append(list, k)
	}
	if list == nil {
		return nil
	}
	return v.session.SetCookies(ctx, list)
}

// keepCookies sets a field of the body to the cookies with these names, or all.
func (v *visit) keepCookies(field string, list []cdp.Cookie, only []string) error {
	if only != nil {
		list = slices.DeleteFunc(list, func(c cdp.Cookie) bool { return !slices.Contains(only, c.Name) })
	}
	if list == nil {
		list = []cdp.Cookie{}
	}
	raw, err := json.Marshal(list)
	if err != nil {
		return err
	}
	value, err := v.decode(raw)
	if err != nil {
		return err
	}
	return v.setFields(map[string]any{field: value})
}
