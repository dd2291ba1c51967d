package kernel

import (
	"encoding/binary"
	"errors"
	"slices"
)

// What a kernel reaches of the world, each only if its manifest wants it and
// the pipeline's `grant` gives it. What comes back is not a function of the
// record: a kernel that uses these cannot be replayed without them.

// Errors of HTTP, Blob, Secret and State. What they return wraps them, with the
// host's reason: errors.Is tells which it is.
var (
	ErrNotGranted = errors.New("not granted by the pipeline")
	ErrNotFound   = errors.New("not found")
	ErrLimit      = errors.New("over a limit of the pipeline")
)

// Request is an HTTP request, which the host sends.
type Request struct {
	// Method is GET if it is empty.
	Method string
	// URL is absolute; its host must be among those granted.
	URL     string
	Headers map[string]string
	// Credential names a credential of the grant. The host adds it to the
	// request: the kernel never sees it.
	Credential string
	Body       []byte
}

// Response is the answer to a Request.
type Response struct {
	Status int
	// Headers has names in lower case.
	Headers map[string]string
	Body    []byte
}

// HTTP sends a request through the host. A response with a status of 400 or
// more is no error.
func HTTP(r Request) (Response, error) {
	answer, err := hostHTTP(r.encode())
	if err != nil {
		return Response{}, err
	}
	return decodeResponse(answer)
}

// Blob returns content of the granted store by its digest, "sha256:...".
func Blob(digest string) ([]byte, error) { return hostBlob(digest) }

// Secret returns a granted secret.
func Secret(name string) (string, error) {
	b, err := hostSecret(name)
	return string(b), err
}

// State returns what PutState stored under a key; ErrNotFound if nothing.
func State(key string) ([]byte, error) { return hostState(key) }

// PutState stores a value under a key. An empty value deletes the key.
func PutState(key string, value []byte) error { return hostPutState(key, value) }

// encode makes the request of spec/kernel-abi.md: the length of the JSON head,
// the head, the body. Names are sorted, so that the bytes are a function of the
// request.
func (r Request) encode() []byte {
	method := r.Method
	if method == "" {
		method = "GET"
	}
	b := appendText(append(make([]byte, 4), `{"method":`...), method)
	b = appendText(append(b, `,"url":`...), r.URL)
	names := make([]string, 0, len(r.Headers))
	for name := range r.Headers {
		names = append(names, name)
	}
	slices.Sort(names)
	for i, name := range names {
		if i == 0 {
			b = append(b, `,"headers":{`...)
		} else {
			b = append(b, ',')
		}
		b = appendText(append(appendText(b, name), ':'), r.Headers[name])
	}
	if len(names) > 0 {
		b = append(b, '}')
	}
	if r.Credential != "" {
		b = appendText(append(b, `,"credential":`...), r.Credential)
	}
	b = append(b, '}')
	binary.LittleEndian.PutUint32(b, uint32(len(b)-4))
	return append(b, r.Body...)
}

// decodeResponse reads status, length of the headers, headers, body.
func decodeResponse(b []byte) (Response, error) {
	const head = 8
	if len(b) < head {
		return Response{}, errors.New("http: a response without a head")
	}
	le := binary.LittleEndian
	n := uint64(le.Uint32(b[4:]))
	if head+n > uint64(len(b)) {
		return Response{}, errors.New("http: a damaged response")
	}
	headers, err := Strings(b[head : head+n])
	if err != nil {
		return Response{}, errors.New("http: headers: " + err.Error())
	}
	return Response{Status: int(le.Uint32(b)), Headers: headers, Body: b[head+n:]}, nil
}

// Sizes of the buffer that an answer or a message is received in; a longer
// answer is fetched with a second call.
const (
	firstAnswer  = 4 << 10
	longestError = 1 << 10
)

// receive turns an import's answer into bytes. call asks for the answer into a
// buffer and returns its length or a negative code; rest copies the last answer
// from an offset on.
func receive(call func(buf []byte) int64, rest func(from int, buf []byte) int64) ([]byte, error) {
	buf := make([]byte, firstAnswer)
	n := call(buf)
	switch {
	case n < 0:
		return nil, failed(n, rest)
	case n <= int64(len(buf)):
		return buf[:n], nil
	}
	buf = append(make([]byte, 0, n), buf...)[:n]
	if rest(firstAnswer, buf[firstAnswer:]) != n-firstAnswer {
		return nil, errors.New("the host lost its answer")
	}
	return buf, nil
}

// denial is one of the errors above with the host's reason.
type denial struct {
	kind error
	why  string
}

func (d *denial) Error() string { return d.kind.Error() + ": " + d.why }
func (d *denial) Unwrap() error { return d.kind }

// failed is the error that a negative answer stands for, with the host's message.
func failed(code int64, rest func(from int, buf []byte) int64) error {
	text := make([]byte, longestError)
	why := string(text[:max(0, min(rest(0, text), longestError))])
	kind := map[int64]error{-1: ErrNotGranted, -2: ErrNotFound, -3: ErrLimit}[code]
	switch {
	case kind != nil && why != "":
		return &denial{kind, why}
	case kind != nil:
		return kind
	case why != "":
		return errors.New(why)
	}
	return errors.New("failed in the host")
}
