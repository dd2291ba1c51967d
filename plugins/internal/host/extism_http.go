package host

import (
	"context"
	"encoding/binary"
	"encoding/json"
	"fmt"
	"strings"
)

// extismResponse is what a plug-in may ask about its last request.
type extismResponse struct {
	status  uint32
	headers []byte // a JSON object
}

// extismRequest is how a plug-in states a request. Extism writes the method in
// any case and means GET without one.
type extismRequest struct {
	URL     string            `json:"url"`
	Method  string            `json:"method"`
	Headers map[string]string `json:"headers,omitempty"`
}

// envHTTPRequest makes the request through the capability http, as kernels do,
// and not through Extism's own client. As there, a request that cannot be made
// stops the plug-in.
func envHTTPRequest(ctx context.Context, c *extismCall, stack []uint64) error {
	c.http = extismResponse{}
	head, err := c.take(ctx, stack[0])
	if err != nil {
		return err
	}
	body, err := c.take(ctx, stack[1])
	if err != nil {
		return err
	}
	request, err := encodeExtismRequest(head, body)
	if err != nil {
		return err
	}
	response, err := askHTTP(c.session, request)
	if err != nil {
		return err
	}
	c.chargeBytes(len(response))
	c.http.status = binary.LittleEndian.Uint32(response)
	n := binary.LittleEndian.Uint32(response[4:])
	c.http.headers = response[8:][:n]
	stack[0], err = c.write(ctx, response[8+n:])
	return err
}

// encodeExtismRequest puts a request into the form of kernel/1: the length of a
// JSON head, the head, the body.
func encodeExtismRequest(head, body []byte) ([]byte, error) {
	var r extismRequest
	if err := json.Unmarshal(head, &r); err != nil {
		return nil, fmt.Errorf("invalid http request: %w", err)
	}
	if r.Method = strings.ToUpper(r.Method); r.Method == "" {
		r.Method = "GET"
	}
	out, err := json.Marshal(r)
	if err != nil {
		return nil, err
	}
	out = append(binary.LittleEndian.AppendUint32(nil, uint32(len(out))), out...)
	return append(out, body...), nil
}

func envHTTPStatus(_ context.Context, c *extismCall, stack []uint64) error {
	stack[0] = uint64(c.http.status)
	return nil
}

// envHTTPHeaders gives the plug-in the headers as a JSON object, 0 before a
// request.
func envHTTPHeaders(ctx context.Context, c *extismCall, stack []uint64) (err error) {
	stack[0], err = c.write(ctx, c.http.headers)
	return err
}
