package cdp

import (
	"slices"

	"github.com/chromedp/chromedp/device"
)

// LookupDevice returns the window and the user agent of a phone or tablet by
// its name, such as "iPhone 13" or "iPad Mini landscape".
func LookupDevice(name string) (Viewport, Device, bool) {
	for d := device.Reset + 1; d <= device.MotoG4landscape; d++ {
		if i := d.Device(); i.Name == name {
			v := Viewport{Width: int(i.Width), Height: int(i.Height), Scale: i.Scale, Mobile: i.Mobile, Touch: i.Touch, Landscape: i.Landscape}
			return v, Device{UserAgent: i.UserAgent}, true
		}
	}
	return Viewport{}, Device{}, false
}

// DeviceNames lists the devices, sorted.
func DeviceNames() []string {
	var out []string
	for d := device.Reset + 1; d <= device.MotoG4landscape; d++ {
		out = append(out, d.Device().Name)
	}
	slices.Sort(out)
	return out
}
