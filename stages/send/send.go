// Package send hands items to the world outside: standard output, a JSON Lines
// file or an HTTP endpoint.
//
//   - send: { to: "file:var/out.jsonl", what: item, ordered: true }
//   - send: { to: "https://api.example.com/pages", headers: { Authorization: "Bearer ${env:TOKEN}" } }
//
// In: any item. Out: the item unchanged, once the other side has it: a line is
// written whole and, in a file, flushed to the disk before the stage succeeds;
// an HTTP request succeeds with a 2xx status, or one of expect.
//
// Delivery is at least once. A run that is killed between the delivery and the
// acknowledgement delivers the item again, with the same id: lines carry it,
// requests send it as Idempotency-Key. A file never keeps half a line: one that
// a crash tore off is cut away before the next is appended, under a lock that
// other processes with this stage respect. What others wrote stays.
//
// It knows nothing of queues, stores and receipts beyond what the item says.
package send

import (
	"bytes"
	"context"
	"encoding/json"
	"io"
	"net/url"
	"time"

	"github.com/waybill-dev/waybill/pipeline"
)

// What is sent of an item.
const (
	WhatItem = "item" // {id, key, body, meta, outputs, receipt}
	WhatBody = "body" // the body alone
)

// Config says where items go.
type Config struct {
	// Destination: stdout, file:PATH (JSON Lines, appended), http://... or https://...
	To string `yaml:"to"`
	// What is sent: item (id, key, body, meta, outputs, receipt) or body.
	What string `yaml:"what,optional" enum:"item|body"`
	// Keep the order in which items were claimed.
	Ordered bool `yaml:"ordered,optional"`
	// HTTP: the method.
	Method string `yaml:"method,optional"`
	// HTTP: headers to add; take secrets from ${env:NAME}.
	Headers map[string]string `yaml:"headers,optional"`
	// HTTP: time for one request, its answer included.
	Timeout pipeline.Duration `yaml:"timeout,optional"`
	// HTTP: statuses that count as success; without it every 2xx.
	Expect []int `yaml:"expect,optional"`
	// HTTP: tell the other side the trace that the item belongs to (traceparent, tracestate).
	Trace bool `yaml:"trace,optional"`
}

// defaults has a timeout because an endpoint that accepts a request and never
// answers would otherwise hold its carrier until the item's deadline.
func defaults() Config {
	return Config{What: WhatItem, Method: "POST", Timeout: pipeline.Duration(30 * time.Second)}
}

// Def returns the stage's definition.
func Def() pipeline.Def {
	return pipeline.Define("send", "hands items to stdout, a JSON Lines file or an HTTP endpoint", defaults(), New)
}

// Validate reports unknown destinations and HTTP keys without HTTP.
func (c Config) Validate(v *pipeline.Validation) {
	if err := c.destination(); err != "" {
		v.Problem("to", pipeline.CodeBadValue, "write stdout, file:out.jsonl, http://host/path or https://host/path", "%s", err)
		return
	}
	if c.isHTTP() {
		c.validateHTTP(v)
		return
	}
	for key, given := range map[string]bool{"headers": len(c.Headers) > 0, "expect": len(c.Expect) > 0, "trace": c.Trace} {
		if given {
			v.Problem(key, pipeline.CodeBadValue, "remove it", "%s needs an http: or https: destination", key)
		}
	}
}

// WritesStdout tells the command line that standard output belongs to the
// items, so that it prints its table elsewhere.
func (c Config) WritesStdout() bool { return c.To == "stdout" }

func (c Config) isHTTP() bool {
	scheme, _, _ := pipeline.SplitURL(c.To)
	return scheme == "http" || scheme == "https"
}

// destination returns what is wrong with To, or nothing.
func (c Config) destination() string {
	if c.To == "stdout" {
		return ""
	}
	scheme, _, _ := pipeline.SplitURL(c.To)
	switch scheme {
	case "file":
		if _, err := pipeline.FilePath(c.To, ""); err != nil {
			return "file: without a path"
		}
		return ""
	case "http", "https":
		if u, err := url.Parse(c.To); err != nil || u.Host == "" {
			return "the URL names no host"
		}
		return ""
	}
	return "unknown destination " + c.To
}

// New makes the stage for the destination.
func New(_ context.Context, cfg Config, env pipeline.Env) (pipeline.Stage, error) {
	if problem := cfg.destination(); problem != "" {
		return nil, pipeline.Fail(pipeline.CodeBadValue, "to: %s", problem)
	}
	if cfg.isHTTP() {
		return newHTTP(cfg), nil
	}
	if cfg.To == "stdout" {
		return &lines{cfg: cfg, out: &pipeOut{w: env.Stdout}}, nil
	}
	path, err := pipeline.FilePath(cfg.To, env.Dir)
	if err != nil {
		return nil, err
	}
	return &lines{cfg: cfg, out: &fileOut{path: path}}, nil
}

// record is one item as the other side sees it.
type record struct {
	ID   string          `json:"id"`
	Key  string          `json:"key,omitempty"`
	Body json.RawMessage `json:"body"`
	// BodyBase64 stands for a body that is neither JSON nor text.
	BodyBase64 []byte            `json:"bodyBase64,omitempty"`
	Meta       map[string]string `json:"meta,omitempty"`
	Outputs    []pipeline.Output `json:"outputs,omitempty"`
	Receipt    pipeline.Digest   `json:"receipt,omitempty"`
}

// encode renders the item or its body as JSON on one line, without newline.
func encode(it *pipeline.Item, what string) ([]byte, error) {
	body, binary, err := bodyJSON(it)
	if err != nil {
		return nil, err
	}
	if what == WhatBody {
		if binary != nil {
			return nil, pipeline.Fail("body", "the body is binary (%s) and cannot be a JSON line", it.Body.MediaType()).
				WithHint("send what: item, which carries it as base64")
		}
		return body, nil
	}
	return marshal(record{it.ID, it.Key, body, binary, it.Meta, it.Outputs, it.Receipt})
}

// bodyJSON returns the body as compact JSON, or null and the raw bytes when it
// is binary.
func bodyJSON(it *pipeline.Item) (body json.RawMessage, binary []byte, err error) {
	raw, err := it.Body.Bytes()
	if err != nil {
		return nil, nil, pipeline.Fail("body", "%w", err)
	}
	if it.Body.IsZero() {
		return json.RawMessage("null"), nil, nil
	}
	if it.Body.MediaType() == pipeline.MediaJSON {
		var b bytes.Buffer
		if err := json.Compact(&b, raw); err != nil {
			return nil, nil, pipeline.Fail("body", "the body is not JSON: %w", err)
		}
		return b.Bytes(), nil, nil
	}
	v, err := it.Body.Value()
	if err != nil {
		return json.RawMessage("null"), raw, nil
	}
	body, err = marshal(v)
	return body, nil, err
}

func marshal(v any) ([]byte, error) {
	var b bytes.Buffer
	enc := json.NewEncoder(&b)
	enc.SetEscapeHTML(false)
	if err := enc.Encode(v); err != nil {
		return nil, pipeline.Fail("body", "encode: %w", err)
	}
	return bytes.TrimSuffix(b.Bytes(), []byte("\n")), nil
}

// pipeOut writes lines to a pipe or terminal, which cannot be flushed to disk.
type pipeOut struct{ w io.Writer }

func (p *pipeOut) open() error           { return nil }
func (p *pipeOut) append(b []byte) error { _, err := p.w.Write(b); return err }
func (p *pipeOut) Close() error          { return nil }
