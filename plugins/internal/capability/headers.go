package capability

import (
	"net/http"
	"strings"
)

// ownHeaders belong to the connection (RFC 9110, section 7.6.1) or follow from
// the request's other parts; a guest that set them could make two readers of one
// request see different ones.
var ownHeaders = []string{
	"Connection", "Content-Length", "Expect", "Host", "Keep-Alive", "Te", "Trailer", "Transfer-Encoding", "Upgrade",
}

// isOwnHeader tells whether only the host may set a header, given in canonical
// form.
func isOwnHeader(name string) bool {
	for _, own := range ownHeaders {
		if name == own {
			return true
		}
	}
	return strings.HasPrefix(name, "Proxy-")
}

// isToken tells whether s is a token of RFC 9110, section 5.6.2, as methods and
// header names are.
func isToken(s string) bool {
	for _, c := range []byte(s) {
		alphanumeric := c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z' || c >= '0' && c <= '9'
		if !alphanumeric && !strings.ContainsRune("!#$%&'*+-.^_`|~", rune(c)) {
			return false
		}
	}
	return s != ""
}

// isFieldValue tells whether s can be a header's value (RFC 9110, section 5.5).
func isFieldValue(s string) bool {
	for _, c := range []byte(s) {
		if c < ' ' && c != '\t' || c == 0x7f {
			return false
		}
	}
	return true
}

// guestHeaders checks what a guest wants to send. taken is the header of the
// credential, or empty.
func guestHeaders(headers map[string]string, taken string) (http.Header, error) {
	out := make(http.Header, len(headers)+1)
	for name, value := range headers {
		key := http.CanonicalHeaderKey(name)
		switch {
		case !isToken(name):
			return nil, fault(Failed, "%.64q is not a header's name", name)
		case !isFieldValue(value):
			return nil, fault(Failed, "header %.64s has control characters", name)
		case isOwnHeader(key):
			return nil, fault(Denied, "header %s is the host's to set", key)
		case key == taken:
			return nil, fault(Denied, "header %s is the credential's", key)
		case out[key] != nil:
			return nil, fault(Failed, "header %.64s stands there twice", key)
		}
		out[key] = []string{value}
	}
	return out, nil
}
