package capability

import (
	"bytes"
	"encoding/binary"
	"encoding/json"
	"net/http"
	"strings"
	"unicode/utf8"
)

// request is a guest's HTTP request.
type request struct {
	method, url, credential string
	headers                 map[string]string
	body                    []byte
}

// lengthSize is the size of the numbers in messages: u32, little-endian.
const lengthSize = 4

// parseRequest reads the encoding of spec/kernel-abi.md: the length of a JSON
// object, the object, the body. Nothing of the request shares memory with raw: a
// connection may read the body a little longer than its caller waits.
func parseRequest(raw []byte) (*request, error) {
	if len(raw) < lengthSize {
		return nil, fault(Failed, "a request of %d bytes has no head", len(raw))
	}
	n, rest := uint64(binary.LittleEndian.Uint32(raw)), raw[lengthSize:]
	if n > uint64(len(rest)) {
		return nil, fault(Failed, "a head of %d bytes in a request of %d", n, len(raw))
	}
	r := &request{method: http.MethodGet, body: bytes.Clone(rest[n:])}
	if err := r.parseHead(rest[:n]); err != nil {
		return nil, err
	}
	return r, nil
}

// parseHead reads the JSON object. Keys are looked at one by one: package json
// alone would take METHOD for method.
func (r *request) parseHead(head []byte) error {
	var fields map[string]json.RawMessage
	if !utf8.Valid(head) || json.Unmarshal(head, &fields) != nil || fields == nil {
		return fault(Failed, "the head is not a JSON object")
	}
	targets := map[string]any{"method": &r.method, "url": &r.url, "credential": &r.credential, "headers": &r.headers}
	for key, value := range fields {
		target, ok := targets[key]
		if !ok {
			return fault(Failed, "unknown key %.64q in the head", key)
		}
		if bytes.Equal(value, []byte("null")) || json.Unmarshal(value, target) != nil {
			return fault(Failed, "%s in the head has the wrong type", key)
		}
	}
	return nil
}

// encodeHead starts the encoding of a response: the status, and the headers as a
// JSON object with lower-case names. Several values of one name are joined as
// RFC 9110, section 5.3, has it.
func encodeHead(status int, headers http.Header) []byte {
	flat := make(map[string]string, len(headers))
	for name, values := range headers {
		flat[strings.ToLower(name)] = strings.Join(values, ", ")
	}
	var object bytes.Buffer
	enc := json.NewEncoder(&object)
	enc.SetEscapeHTML(false) // < and > stay as they are: small readers know few escapes
	_ = enc.Encode(flat)     // strings cannot fail
	text := bytes.TrimSuffix(object.Bytes(), []byte("\n"))
	out := binary.LittleEndian.AppendUint32(nil, uint32(status))
	out = binary.LittleEndian.AppendUint32(out, uint32(len(text)))
	return append(out, text...)
}
