package send

import (
	"context"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"go.uber.org/goleak"

	"github.com/waybill-dev/waybill/pipeline"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// post sends one item to a server with this handler.
func post(t *testing.T, change func(*Config), handler http.HandlerFunc) error {
	t.Helper()
	srv := httptest.NewServer(handler)
	defer srv.Close()
	cfg := defaults()
	cfg.To = srv.URL + "/in?token=hidden"
	if change != nil {
		change(&cfg)
	}
	s, err := New(context.Background(), cfg, pipeline.Env{})
	if err != nil {
		t.Fatal(err)
	}
	defer s.(*poster).Close()
	ctx := pipeline.ContextWithTrace(context.Background(), pipeline.TraceContext{Parent: "00-aa-bb-01", State: "s=1"})
	return s.Process(ctx, jsonItem("id/1", map[string]any{"a": 1}))
}

func TestRequest(t *testing.T) {
	type request struct{ Method, Body, Type, Key, Trace, State, Token string }
	tests := map[string]struct {
		change func(*Config)
		want   request
	}{
		"defaults": {nil, request{"POST", `{"id":"id/1","body":{"a":1}}`, "application/json", "id/1", "", "", ""}},
		"all": {
			func(c *Config) {
				c.Method, c.What, c.Trace, c.Headers = "PUT", WhatBody, true, map[string]string{"X-Token": "t"}
			},
			request{"PUT", `{"a":1}`, "application/json", "id/1", "00-aa-bb-01", "s=1", "t"}},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			var got request
			err := post(t, tt.change, func(w http.ResponseWriter, r *http.Request) {
				b, _ := io.ReadAll(r.Body)
				h := r.Header.Get
				got = request{r.Method, string(b), h("Content-Type"), h("Idempotency-Key"), h("traceparent"), h("tracestate"), h("X-Token")}
			})
			if err != nil {
				t.Fatal(err)
			}
			if d := cmp.Diff(tt.want, got); d != "" {
				t.Error(d)
			}
		})
	}
}

func TestStatus(t *testing.T) {
	tests := map[string]struct {
		status int
		after  string
		expect []int
		ok     bool
		kind   pipeline.Kind
		code   string
		wait   time.Duration
	}{
		"created":      {status: 201, ok: true},
		"not found":    {status: 404, kind: pipeline.Permanent, code: "http-404"},
		"not modified": {status: 304, kind: pipeline.Permanent, code: "http-304"},
		"throttled":    {status: 429, after: "7", kind: pipeline.Retry, code: "http-429", wait: 7 * time.Second},
		"unavailable":  {status: 503, kind: pipeline.Retry, code: "http-503"},
		"too long":     {status: 503, after: "999999", kind: pipeline.Retry, code: "http-503", wait: maxRetryAfter},
		"expected":     {status: 409, expect: []int{200, 409}, ok: true},
		"unexpected":   {status: 204, expect: []int{200}, kind: pipeline.Permanent, code: "http-204"},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			err := post(t, func(c *Config) { c.Expect = tt.expect }, func(w http.ResponseWriter, _ *http.Request) {
				if tt.after != "" {
					w.Header().Set("Retry-After", tt.after)
				}
				w.WriteHeader(tt.status)
			})
			if tt.ok {
				if err != nil {
					t.Fatal(err)
				}
				return
			}
			e, ok := err.(*pipeline.Error)
			if !ok || e.Kind != tt.kind || e.Code != tt.code || e.After != tt.wait {
				t.Fatalf("error %#v, want %s %s after %s", err, tt.kind, tt.code, tt.wait)
			}
			if strings.Contains(err.Error(), "hidden") {
				t.Errorf("the error shows the query: %v", err)
			}
		})
	}
}

func TestRedirects(t *testing.T) {
	reached := false
	other := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { reached = true }))
	defer other.Close()
	to := func(status int, where string) http.HandlerFunc {
		return func(w http.ResponseWriter, r *http.Request) {
			if r.URL.Path == "/in" {
				http.Redirect(w, r, where, status)
			} else if r.URL.Path == "/loop" {
				http.Redirect(w, r, "/loop", status)
			}
		}
	}
	if err := post(t, nil, to(307, "/there")); err != nil {
		t.Errorf("on the same host: %v", err)
	}
	for name, h := range map[string]http.HandlerFunc{
		"other host": to(307, other.URL), "POST to GET": to(302, "/there"), "loop": to(308, "/loop"),
	} {
		if err := post(t, nil, h); pipeline.CodeOf(err) != "redirect" || pipeline.KindOf(err) != pipeline.Permanent {
			t.Errorf("%s: %v, want a refused redirect", name, err)
		}
	}
	if reached {
		t.Error("the item went to another host")
	}
}

func TestTransport(t *testing.T) {
	err := post(t, nil, func(http.ResponseWriter, *http.Request) { panic(http.ErrAbortHandler) })
	if pipeline.CodeOf(err) != "http" || pipeline.KindOf(err) != pipeline.Retry || strings.Contains(err.Error(), "hidden") {
		t.Errorf("lost connection: %v", err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	cfg := defaults()
	cfg.To = "http://127.0.0.1:1/"
	if err := newHTTP(cfg).Process(ctx, jsonItem("1", 1)); pipeline.KindOf(err) != pipeline.Cancelled {
		t.Errorf("cancelled: %v is %s", err, pipeline.KindOf(err))
	}
}

// An endless answer must not fill the memory nor hold the item.
func TestEndlessAnswer(t *testing.T) {
	sent := 0
	err := post(t, nil, func(w http.ResponseWriter, r *http.Request) {
		w.WriteHeader(400)
		chunk := []byte(strings.Repeat("no ", 10000))
		for sent < 100<<20 {
			n, err := w.Write(chunk)
			if err != nil {
				return
			}
			sent += n
		}
	})
	if pipeline.CodeOf(err) != "http-400" || len(err.Error()) > 2*maxQuote {
		t.Errorf("error of %d characters, want a short http-400", len(err.Error()))
	}
	if sent >= 100<<20 {
		t.Error("the whole answer was read")
	}
}

func TestRetryAfter(t *testing.T) {
	now := time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)
	for header, want := range map[string]time.Duration{
		"": 0, "12": 12 * time.Second, "-3": 0, "soon": 0,
		"Fri, 02 Jan 2026 03:04:35 GMT": 30 * time.Second,
		"Fri, 02 Jan 2026 03:00:00 GMT": 0,
	} {
		if got := retryAfter(header, now); got != want {
			t.Errorf("retryAfter(%q) = %s, want %s", header, got, want)
		}
	}
}

func TestDestination(t *testing.T) {
	for _, to := range []string{"stdout", "file:x.jsonl", "http://example.com/", "https://example.com"} {
		if p := (Config{To: to}).destination(); p != "" {
			t.Errorf("%s: %s", to, p)
		}
	}
	for _, to := range []string{"", "stderr", "file:", "http://", "https:///x", "ftp://example.com", "out.jsonl"} {
		if p := (Config{To: to}).destination(); p == "" {
			t.Errorf("%q is accepted", to)
		}
		if _, err := New(context.Background(), Config{To: to}, pipeline.Env{}); err == nil {
			t.Errorf("New(%q) succeeds", to)
		}
	}
}
