package cdp

import (
	"context"
	"errors"

	browserdomain "github.com/chromedp/cdproto/browser"
	proto "github.com/chromedp/cdproto/cdp"
	"github.com/chromedp/cdproto/emulation"
	"github.com/chromedp/cdproto/network"
)

// What the page is made to believe about its window, connection and reader.

func (t *tab) setViewport(ctx context.Context, v Viewport) error {
	p := emulation.SetDeviceMetricsOverrideParams{Width: int64(v.Width), Height: int64(v.Height), DeviceScaleFactor: v.Scale, Mobile: v.Mobile,
		ScreenOrientation: &emulation.ScreenOrientation{Type: emulation.ScreenOrientationTypePortraitPrimary}}
	if v.Landscape {
		p.ScreenOrientation = &emulation.ScreenOrientation{Type: emulation.ScreenOrientationTypeLandscapePrimary, Angle: 90}
	}
	if _, err := proto.Call(ctx, t.target, emulation.SetDeviceMetricsOverride, p); err != nil {
		return err
	}
	touch := emulation.SetTouchEmulationEnabledParams{Enabled: v.Touch}
	if v.Touch {
		touch.MaxTouchPoints = 5
	}
	_, err := proto.Call(ctx, t.target, emulation.SetTouchEmulationEnabled, touch)
	return err
}

func (t *tab) setNetwork(ctx context.Context, n Network) error {
	c := &network.Conditions{Offline: n.Offline, Latency: float64(n.Latency.Milliseconds()), DownloadThroughput: n.Download, UploadThroughput: n.Upload}
	_, err := proto.Call(ctx, t.target, network.EmulateNetworkConditionsByRule, network.EmulateNetworkConditionsByRuleParams{
		MatchedNetworkConditions: []*network.Conditions{c}})
	if err != nil {
		return err
	}
	// What navigator.onLine says.
	_, err = proto.Call(ctx, t.target, network.OverrideNetworkState, network.OverrideNetworkStateParams{
		Offline: n.Offline, Latency: c.Latency, DownloadThroughput: n.Download, UploadThroughput: n.Upload})
	return err
}

func (t *tab) setDevice(ctx context.Context, d Device) error {
	if d.UserAgent != "" || d.AcceptLanguage != "" || d.Platform != "" {
		if err := t.setAgent(ctx, d); err != nil {
			return err
		}
	}
	if d.Locale != "" {
		if _, err := proto.Call(ctx, t.target, emulation.SetLocaleOverride, emulation.SetLocaleOverrideParams{Locale: d.Locale}); err != nil {
			return err
		}
	}
	if d.Timezone != "" {
		if _, err := proto.Call(ctx, t.target, emulation.SetTimezoneOverride, emulation.SetTimezoneOverrideParams{TimezoneID: d.Timezone}); err != nil {
			return &StateError{"the time zone " + d.Timezone + " is not known: " + err.Error()}
		}
	}
	if d.Media == "" && d.ColorScheme == "" && d.ReducedMotion == "" {
		return nil
	}
	p := emulation.SetEmulatedMediaParams{Media: d.Media}
	for _, f := range []struct{ name, value string }{{"prefers-color-scheme", d.ColorScheme}, {"prefers-reduced-motion", d.ReducedMotion}} {
		if f.value != "" {
			p.Features = append(p.Features, &emulation.MediaFeature{Name: f.name, Value: f.value})
		}
	}
	_, err := proto.Call(ctx, t.target, emulation.SetEmulatedMedia, p)
	return err
}

func (t *tab) setAgent(ctx context.Context, d Device) error {
	if d.UserAgent == "" { // the protocol wants one
		v, err := proto.Call(ctx, t.wire.browser, browserdomain.GetVersion, proto.Empty{})
		if err != nil {
			return err
		}
		d.UserAgent = v.UserAgent
	}
	_, err := proto.Call(ctx, t.target, emulation.SetUserAgentOverride, emulation.SetUserAgentOverrideParams{
		UserAgent: d.UserAgent, AcceptLanguage: d.AcceptLanguage, Platform: d.Platform})
	return err
}

func (t *tab) setGeolocation(ctx context.Context, g Geolocation) error {
	if err := t.permit(ctx, "geolocation", browserdomain.PermissionSettingGranted); err != nil {
		return err
	}
	_, err := proto.Call(ctx, t.target, emulation.SetGeolocationOverride, emulation.SetGeolocationOverrideParams{
		Latitude: &g.Latitude, Longitude: &g.Longitude, Accuracy: &g.Accuracy})
	return err
}

func (t *tab) permit(ctx context.Context, permission string, setting browserdomain.PermissionSetting) error {
	_, err := proto.Call(ctx, t.wire.browser, browserdomain.SetPermission, browserdomain.SetPermissionParams{
		Permission: &browserdomain.PermissionDescriptor{Name: permission}, Setting: setting, BrowserContextID: t.contextID})
	return err
}

func (t *tab) setHeaders(ctx context.Context, headers map[string]string) error {
	h := network.Headers{}
	for name, value := range headers {
		h[name] = value
	}
	_, err := proto.Call(ctx, t.target, network.SetExtraHTTPHeaders, network.SetExtraHTTPHeadersParams{Headers: h})
	return err
}

// restore takes back all of the above.
func (t *tab) restore(ctx context.Context, o PageOptions) error {
	media := func() error {
		_, err := proto.Call(ctx, t.target, emulation.SetEmulatedMedia, emulation.SetEmulatedMediaParams{})
		return err
	}
	locale := func() error {
		_, err := proto.Call(ctx, t.target, emulation.SetLocaleOverride, emulation.SetLocaleOverrideParams{})
		return err
	}
	timezone := func() error {
		_, err := proto.Call(ctx, t.target, emulation.SetTimezoneOverride, emulation.SetTimezoneOverrideParams{})
		return err
	}
	position := func() error {
		_, err := proto.Call(ctx, t.target, emulation.ClearGeolocationOverride, proto.Empty{})
		return err
	}
	agent := func() error {
		_, err := proto.Call(ctx, t.target, emulation.SetUserAgentOverride, emulation.SetUserAgentOverrideParams{UserAgent: o.UserAgent})
		return err
	}
	return errors.Join(
		t.setViewport(ctx, Viewport{Width: o.Width, Height: o.Height, Scale: 1}),
		t.setNetwork(ctx, Network{Download: -1, Upload: -1}),
		t.setHeaders(ctx, nil), agent(), media(), locale(), timezone(), position(),
		t.permit(ctx, "geolocation", browserdomain.PermissionSettingDenied),
	)
}
