package http

import (
	"bytes"
	"crypto/rand"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"net/http"
	"unicode/utf8"

	"github.com/waybill-dev/waybill/pipeline"
	"github.com/waybill-dev/waybill/stages/claim/internal/local"
)

// items reads the items of a request. Each has an id then.
func (c config) items(r *http.Request, body []byte) ([]kept, error) {
	out, err := c.parseBody(r, body)
	if err != nil {
		return nil, err
	}
	key := r.Header.Get("Idempotency-Key")
	if key != "" && len(out) != 1 {
		return nil, pipeline.Fail("bad-request", "an Idempotency-Key is for one item, this request has %d", len(out)).
			WithHint("give each item an idempotencyKey of its own")
	}
	for i := range out {
		it := out[i].Item
		if key != "" {
			if it.IdempotencyKey != "" && it.IdempotencyKey != key {
				return nil, pipeline.Fail("bad-request", "the header's Idempotency-Key is not the item's idempotencyKey")
			}
			it.IdempotencyKey = key
		}
		if it.ID == "" {
			it.ID = "http-" + rand.Text()
		}
		if it.Trace == (pipeline.TraceContext{}) {
			it.Trace = pipeline.TraceContext{Parent: r.Header.Get("traceparent"), State: r.Header.Get("tracestate")}
		}
		if err := it.Validate(); err != nil {
			return nil, err
		}
	}
	return out, nil
}

// parseBody reads the whole body as one value if it is one, else as lines.
func (c config) parseBody(r *http.Request, body []byte) ([]kept, error) {
	if c.format == formatRaw {
		return []kept{{Item: &pipeline.NewItem{}, Raw: body, Media: r.Header.Get("Content-Type")}}, nil
	}
	if len(bytes.TrimSpace(body)) == 0 {
		return nil, pipeline.Fail("bad-request", "the request has no item")
	}
	if json.Valid(body) {
		it, err := local.ParseLine(bytes.TrimSpace(body), c.format)
		return []kept{{Item: &it}}, err
	}
	var out []kept
	for rec, err := range local.Lines(bytes.NewReader(body), "request", c.format) {
		if err == nil {
			err = rec.Bad
		}
		if err != nil {
			return nil, fmt.Errorf("line %d: %w", len(out)+1, err)
		}
		out = append(out, kept{Item: &rec.Item})
	}
	return out, nil
}

// letter is what a dead letter has of a raw request: its text, or its bytes and
// what they are.
func letter(k kept) []byte {
	var v any = string(k.Raw)
	if !utf8.Valid(k.Raw) {
		v = map[string]string{"mediaType": k.Media, "base64": base64.StdEncoding.EncodeToString(k.Raw)}
	}
	text, _ := json.Marshal(v) // texts always encode
	return text
}
