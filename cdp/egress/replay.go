package egress

import (
	"bytes"
	"net/url"
)

// Archive is a recording to be served back. It does not change, so several
// leases may share it.
type Archive struct {
	byRequest map[string][]*Exchange
}

// NewArchive indexes a recording by method and URL.
func NewArchive(exchanges []Exchange) *Archive {
	a := &Archive{byRequest: map[string][]*Exchange{}}
	for i := range exchanges {
		x := &exchanges[i]
		u, err := url.Parse(x.URL)
		if err != nil {
			continue // no browser can ask for it
		}
		key := requestKey(x.Method, u)
		a.byRequest[key] = append(a.byRequest[key], x)
	}
	return a
}

func requestKey(method string, u *url.URL) string {
	clean := *u
	clean.Fragment, clean.RawFragment = "", ""
	if clean.Path == "" {
		clean.Path = "/"
	}
	return method + " " + clean.String()
}

// next returns the visit's next answer to a request: one with the same body if
// there is any, in the order of the recording, the last one again and again.
func (v *visit) next(method string, u *url.URL, body []byte) *Exchange {
	key := requestKey(method, u)
	found := v.Replay.byRequest[key]
	var same []*Exchange
	for _, x := range found {
		if bytes.Equal(x.Request.Body, body) {
			same = append(same, x)
		}
	}
	if len(same) > 0 {
		found, key = same, key+"\x00"+string(body)
	}
	if len(found) == 0 {
		return nil
	}
	v.mu.Lock()
	defer v.mu.Unlock()
	i := min(v.cursor[key], len(found)-1)
	v.cursor[key] = i + 1
	return found[i]
}
