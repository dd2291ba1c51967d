package cdp

import (
	"fmt"
	"net"
	"net/url"
	"strings"
)

// CheckEndpoint checks the address of a remote browser's DevTools. Whoever can
// speak to them controls the browser and reads all its pages, so they must be
// out of others' reach: wss:, or ws: to this machine; and the address must hold
// a secret: the path /devtools/browser/<id> that Chrome prints, or a query
// parameter token. The error is ErrEndpoint.
func CheckEndpoint(address string) error {
	u, err := url.Parse(address)
	switch {
	case err != nil:
		return fmt.Errorf("%w: it is not a URL", ErrEndpoint) // the parser's error shows the secret
	case u.Scheme != "ws" && u.Scheme != "wss":
		return fmt.Errorf("%w: want ws: or wss:, not %q", ErrEndpoint, u.Scheme)
	case u.Scheme == "ws" && !loopback(u.Hostname()):
		return fmt.Errorf("%w: %s is not this machine, so it needs wss", ErrEndpoint, u.Host)
	case u.Query().Get("token") == "" && !secretPath(u.Path):
		return fmt.Errorf("%w: it has no secret: give the whole webSocketDebuggerUrl (.../devtools/browser/<id>), or a token parameter", ErrEndpoint)
	}
	return nil
}

// secretPath reports whether the path is Chrome's with the browser's random id.
func secretPath(path string) bool {
	id, ok := strings.CutPrefix(path, "/devtools/browser/")
	return ok && len(id) >= 16
}

func loopback(host string) bool {
	ip := net.ParseIP(host)
	return host == "localhost" || ip != nil && ip.IsLoopback()
}

// redacted names an endpoint without its secret.
func redacted(address string) string {
	u, err := url.Parse(address)
	if err != nil {
		return "its endpoint"
	}
	return u.Scheme + "://" + u.Host
}
