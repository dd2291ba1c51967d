package capability

import (
	"encoding/binary"
	"encoding/json"
	"net/http"
	"strings"
	"testing"
)

// message encodes a request.
func message(head, body string) []byte {
	raw := binary.LittleEndian.AppendUint32(nil, uint32(len(head)))
	return append(append(raw, head...), body...)
}

// response takes an encoded response apart.
type response struct {
	status  int
	headers map[string]string
	body    string
}

func parseResponse(t *testing.T, raw []byte) response {
	t.Helper()
	r := response{status: int(binary.LittleEndian.Uint32(raw))}
	n := binary.LittleEndian.Uint32(raw[4:])
	if err := json.Unmarshal(raw[8:8+n], &r.headers); err != nil {
		t.Fatal(err)
	}
	r.body = string(raw[8+n:])
	return r
}

func TestParseRequest(t *testing.T) {
	raw := message(`{"method":"POST","url":"http://example.com/","headers":{"A":"b"},"credential":"c"}`, "body")
	r, err := parseRequest(raw)
	if err != nil {
		t.Fatal(err)
	}
	clear(raw) // nothing of the request may be part of the guest's memory
	if r.method != "POST" || r.url != "http://example.com/" || r.headers["A"] != "b" || r.credential != "c" || string(r.body) != "body" {
		t.Errorf("got %+v", r)
	}
	r, err = parseRequest(message(`{"url":"x"}`, ""))
	if err != nil || r.method != "GET" || len(r.body) != 0 {
		t.Errorf("defaults: %+v, %v", r, err)
	}
}

func TestRequestsThatAreRefused(t *testing.T) {
	for name, raw := range map[string][]byte{
		"nothing":              nil,
		"half a length":        {1, 0},
		"head beyond the end":  {3, 0, 0, 0, '{', '}'},
		"head of 4 GiB":        {255, 255, 255, 255, '{', '}'},
		"no head":              message("", ""),
		"not JSON":             message("{", ""),
		"not an object":        message("[]", ""),
		"null":                 message("null", ""),
		"two values":           message("{}{}", ""),
		"unknown key":          message(`{"url":"x","timeout":1}`, ""),
		"key in capitals":      message(`{"URL":"x"}`, ""),
		"method of wrong type": message(`{"method":1}`, ""),
		"method null":          message(`{"method":null}`, ""),
		"headers a list":       message(`{"headers":["a"]}`, ""),
		"header of wrong type": message(`{"headers":{"a":["b"]}}`, ""),
		"not UTF-8":            message("{\"url\":\"\xff\"}", ""),
	} {
		r, err := parseRequest(raw)
		if err == nil || CodeOf(err) != Failed {
			t.Errorf("%s: %+v, %v", name, r, err)
		}
	}
}

func FuzzParseRequest(f *testing.F) {
	f.Add(message(`{"method":"POST","url":"http://example.com/","headers":{"A":"b"}}`, "body"))
	f.Add(message(`{}`, ""))
	f.Add([]byte{255, 255, 255, 255})
	f.Fuzz(func(t *testing.T, raw []byte) {
		r, err := parseRequest(raw)
		if err != nil {
			if CodeOf(err) != Failed || len(err.Error()) > 1000 {
				t.Errorf("%d: %s", CodeOf(err), err)
			}
			return
		}
		if n := int(binary.LittleEndian.Uint32(raw)); n+len(r.body)+4 != len(raw) {
			t.Errorf("%d of head and %d of body in %d bytes", n, len(r.body), len(raw))
		}
	})
}

func TestEncodeHead(t *testing.T) {
	head := encodeHead(404, http.Header{"X-Two": {"a", "b"}, "Link": {`<x>; rel="y&z"`}, "Odd": {"\xff"}})
	const want = `{"link":"<x>; rel=\"y&z\"","odd":"\ufffd","x-two":"a, b"}`
	if got := string(head[8:]); got != want {
		t.Errorf("got %s, want %s", got, want)
	}
	r := parseResponse(t, append(head, "body"...))
	if r.status != 404 || r.body != "body" || r.headers["x-two"] != "a, b" {
		t.Errorf("got %+v", r)
	}
	if got := string(encodeHead(200, nil)[8:]); got != "{}" {
		t.Errorf("no headers: %s", got)
	}
}

func TestGuestHeaders(t *testing.T) {
	got, err := guestHeaders(map[string]string{"accept": "a/b", "X-Id": "\tä 1"}, "Authorization")
	if err != nil || got.Get("Accept") != "a/b" || got.Get("X-Id") != "\tä 1" {
		t.Errorf("%v, %v", got, err)
	}
	for name, want := range map[string]Code{
		"": Failed, "a b": Failed, "a:": Failed, "a\n": Failed, "ä": Failed, strings.Repeat("(", 1000): Failed,
		"Host": Denied, "host": Denied, "connection": Denied, "TE": Denied, "Content-length": Denied, "transfer-encoding": Denied,
		"proxy-authorization": Denied, "Proxy-X": Denied, "Upgrade": Denied, "Expect": Denied, "Trailer": Denied, "keep-alive": Denied,
		"authorization": Denied,
	} {
		_, err := guestHeaders(map[string]string{name: "x"}, "Authorization")
		if err == nil || CodeOf(err) != want || len(err.Error()) > 300 {
			t.Errorf("%.20q: %v, want code %d", name, err, want)
		}
	}
	for _, value := range []string{"a\r\nB: c", "\x00", "\x7f"} {
		if _, err := guestHeaders(map[string]string{"A": value}, ""); CodeOf(err) != Failed {
			t.Errorf("value %q: %v", value, err)
		}
	}
	if _, err := guestHeaders(map[string]string{"x-a": "1", "X-A": "2"}, ""); CodeOf(err) != Failed {
		t.Errorf("one header twice: %v", err)
	}
}
