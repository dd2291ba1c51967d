package http

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/waybill-dev/waybill/pipeline"
	"github.com/waybill-dev/waybill/stages/claim/internal/local"
	"github.com/waybill-dev/waybill/stages/claim/internal/local/localtest"
	"go.uber.org/goleak"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// pipes is a listener without a network, so that time can be virtual.
type pipes struct {
	conns  chan net.Conn
	closed chan struct{}
	once   sync.Once
}

func newPipes() *pipes { return &pipes{conns: make(chan net.Conn), closed: make(chan struct{})} }

func (p *pipes) Accept() (net.Conn, error) {
	select {
	case c := <-p.conns:
		return c, nil
	case <-p.closed:
		return nil, net.ErrClosed
	}
}

func (p *pipes) Close() error {
	p.once.Do(func() { close(p.closed) })
	return nil
}

func (p *pipes) Addr() net.Addr { return &net.TCPAddr{IP: net.IPv4(127, 0, 0, 1), Port: 80} }

func (p *pipes) dial(ctx context.Context, _, _ string) (net.Conn, error) {
	here, there := net.Pipe()
	select {
	case p.conns <- there:
		return here, nil
	case <-p.closed:
		return nil, net.ErrClosed
	case <-ctx.Done():
		return nil, ctx.Err()
	}
}

// station is a source and a client for it.
type station struct {
	*testing.T
	*source
	client *http.Client
	claims context.Context
	drain  func() // as the engine does: the claims' context ends
}

func newStation(t *testing.T, url string, o pipeline.QueueOptions) *station {
	t.Helper()
	c, err := parse(url, o)
	if err != nil {
		t.Fatal(err)
	}
	p := newPipes()
	s, err := newSource(c, local.Defaults(o), p)
	if err != nil {
		t.Fatal(err)
	}
	x := &station{T: t, source: s, client: &http.Client{Transport: &http.Transport{DialContext: p.dial, DisableKeepAlives: true}}}
	x.claims, x.drain = context.WithCancel(t.Context())
	x.server.serve(x.claims)
	return x
}

func (x *station) close() {
	x.Helper()
	if err := x.source.Close(); err != nil {
		x.Errorf("close: %v", err)
	}
	x.drain()
	synctest.Wait()
}

// reply is a response with its body.
type reply struct {
	status int
	header http.Header
	body   string
	items  []result
}

// post sends a request and waits for its answer; headers are name, value pairs.
func (x *station) post(ctx context.Context, body string, headers ...string) reply {
	r, err := http.NewRequestWithContext(ctx, http.MethodPost, "http://127.0.0.1:80/work", strings.NewReader(body))
	if err != nil {
		x.Error(err)
		return reply{}
	}
	for i := 0; i < len(headers); i += 2 {
		if headers[i] == "Host" {
			r.Host = headers[i+1]
		}
		r.Header.Set(headers[i], headers[i+1])
	}
	return x.do(r)
}

func (x *station) do(r *http.Request) (out reply) {
	resp, err := x.client.Do(r)
	if err != nil {
		if r.Context().Err() == nil {
			x.Error(err)
		}
		return reply{}
	}
	defer resp.Body.Close()
	text, err := io.ReadAll(resp.Body)
	if err != nil {
		x.Error(err)
	}
	var v struct{ Items []result }
	if err := json.Unmarshal(text, &v); err != nil {
		x.Errorf("the answer %q: %v", text, err)
	}
	return reply{resp.StatusCode, resp.Header, string(text), v.Items}
}

// later posts in the background.
func (x *station) later(ctx context.Context, body string, headers ...string) <-chan reply {
	out := make(chan reply, 1)
	go func() { out <- x.post(ctx, body, headers...) }()
	synctest.Wait()
	return out
}

func (x *station) claim(most int) []*pipeline.Item {
	x.Helper()
	items, err := x.Claim(x.claims, most)
	if err != nil {
		x.Fatal(err)
	}
	return items
}

// bubble runs a test with virtual time.
func bubble(t *testing.T, test func(t *testing.T, dir string)) {
	t.Helper()
	dir := t.TempDir()
	synctest.Test(t, func(t *testing.T) { test(t, dir) })
}

func TestExercise(t *testing.T) {
	for _, checkpoint := range []string{"", "http.checkpoint"} {
		localtest.Exercise(t, func(t *testing.T, dir string) pipeline.Source {
			x := newStation(t, "http:127.0.0.1:80/work", pipeline.QueueOptions{Dir: dir, Checkpoint: checkpoint})
			x.later(t.Context(), `{"body":{"n":1}}`)
			return x.source
		})
	}
}

// Without a checkpoint the answer is the outcome.
func TestOutcome(t *testing.T) {
	bubble(t, func(t *testing.T, _ string) {
		x := newStation(t, "http:127.0.0.1:80/work", pipeline.QueueOptions{})
		answer := x.later(t.Context(), "{\"id\":\"a\",\"body\":1}\n\n{\"id\":\"b\",\"key\":\"k\",\"meta\":{\"m\":2}}\n{\"id\":\"c\",\"key\":\"k\"}\n",
			"traceparent", "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01")
		items := x.claim(10)
		if len(items) != 2 || items[0].ID != "a" || string(items[0].Input) != "1" || items[1].Meta["m"] != "2" || items[0].Trace.Parent == "" {
			t.Fatalf("claimed %+v", items)
		}
		time.Sleep(time.Hour) // nobody is hurried
		localtest.End(t, x, items[0], pipeline.Succeeded)
		localtest.End(t, x, items[1], pipeline.Dead)
		synctest.Wait()
		select {
		case got := <-answer:
			t.Fatalf("answered %+v before c has ended", got)
		default:
		}
		o := pipeline.Outcome{Result: pipeline.Succeeded, Digest: pipeline.DigestOf([]byte("c"))}
		if err := x.Ack(t.Context(), x.claim(1)[0], o); err != nil {
			t.Fatal(err)
		}
		got := <-answer
		want := []result{{ID: "a", Result: "succeeded"}, {ID: "b", Result: "dead", Error: "cause of death", Code: "error"}, {ID: "c", Result: "succeeded", Digest: o.Digest}}
		if d := cmp.Diff(want, got.items); d != "" || got.status != http.StatusOK {
			t.Errorf("status %d (-want +got):\n%s", got.status, d)
		}
		x.close()
	})
}

// With a checkpoint the items are on disk before the answer, and a later run
// goes on with those that have not ended.
func TestAccepted(t *testing.T) {
	bubble(t, func(t *testing.T, dir string) {
		o := pipeline.QueueOptions{Dir: dir, Checkpoint: "ckpt", MaxAttempts: 2}
		x := newStation(t, "http:127.0.0.1:80/work", o)
		for i := range 4 {
			got := x.post(t.Context(), fmt.Sprintf(`{"id":"i%d","body":{"n":%d}}`, i, i), "Idempotency-Key", fmt.Sprint("k", i))
			if got.status != http.StatusAccepted || len(got.items) != 1 || got.items[0].ID != fmt.Sprint("i", i) {
				t.Fatalf("answer %+v", got)
			}
			if text, err := os.ReadFile(filepath.Join(dir, "ckpt")); err != nil || !strings.Contains(string(text), fmt.Sprintf(`{"n":%d}`, i)) {
				t.Fatalf("not on disk, error %v:\n%s", err, text)
			}
		}
		items := x.claim(3)
		localtest.End(t, x, items[0], pipeline.Succeeded)
		localtest.End(t, x, items[1], pipeline.Dead)
		x.close() // i2 is held, i3 waits

		x = newStation(t, "http:127.0.0.1:80/work", o)
		for i, result := range map[int]pipeline.Result{0: pipeline.Succeeded, 1: pipeline.Dead, 3: ""} {
			got := x.post(t.Context(), `{"id":"other"}`, "Idempotency-Key", fmt.Sprint("k", i))
			if got.status != http.StatusAccepted || !got.items[0].Duplicate || got.items[0].ID != fmt.Sprint("i", i) || got.items[0].Result != result {
				t.Errorf("asked again for %d: %+v", i, got)
			}
		}
		again := x.claim(10)
		if len(again) != 2 || again[0].ID != "i2" || again[0].Attempt != 2 || string(again[0].Input) != `{"n":2}` || again[1].ID != "i3" || again[1].Attempt != 1 {
			t.Fatalf("claimed %+v", again)
		}
		if again[0].Token <= items[2].Token {
			t.Errorf("token %d after %d", again[0].Token, items[2].Token)
		}
		x.close()

		x = newStation(t, "http:127.0.0.1:80/work", o)
		last := x.claim(1)[0]
		if last.ID != "i2" || pipeline.CodeOf(last.Condemned) != pipeline.CodeAttemptsExhausted {
			t.Errorf("claimed %s, condemned: %v; want that its attempts are used up", last.ID, last.Condemned)
		}
		x.close()
		if text, err := os.ReadFile(filepath.Join(dir, "ckpt.dead.jsonl")); err != nil || !strings.Contains(string(text), `"id":"i1"`) {
			t.Errorf("dead letters %s, error %v", text, err)
		}
	})
}

func TestBackPressure(t *testing.T) {
	bubble(t, func(t *testing.T, _ string) {
		x := newStation(t, "http:127.0.0.1:80/work?buffer=2", pipeline.QueueOptions{})
		first := x.later(t.Context(), `{"id":"a"}`)
		two := x.post(t.Context(), "{\"id\":\"b\"}\n{\"id\":\"c\"}") // all or none
		if two.status != http.StatusTooManyRequests || two.header.Get("Retry-After") != "1" {
			t.Errorf("answer %+v, want 429 and when to come again", two)
		}
		if got := x.post(t.Context(), "{}\n{}\n{}"); got.status != http.StatusRequestEntityTooLarge {
			t.Errorf("more than ever fits: %+v", got)
		}
		second := x.later(t.Context(), `{"id":"b"}`)
		if got := x.post(t.Context(), `{"id":"c"}`); got.status != http.StatusTooManyRequests {
			t.Errorf("answer %+v, want 429", got)
		}
		if got := x.post(t.Context(), `not even JSON`); got.status != http.StatusTooManyRequests {
			t.Errorf("answer %+v, want 429 before the request is read", got)
		}
		items := x.claim(5)
		if len(items) != 2 {
			t.Fatalf("claimed %d", len(items))
		}
		third := x.later(t.Context(), `{"id":"c"}`) // a slot was free
		for _, it := range append(items, x.claim(1)...) {
			localtest.End(t, x, it, pipeline.Succeeded)
		}
		for _, answer := range []<-chan reply{first, second, third} {
			if got := <-answer; got.status != http.StatusOK {
				t.Errorf("answer %+v", got)
			}
		}
		x.close()
	})
}

// The same work asked for twice is done once; the second client is answered too.
func TestIdempotency(t *testing.T) {
	bubble(t, func(t *testing.T, _ string) {
		x := newStation(t, "http:127.0.0.1:80/work", pipeline.QueueOptions{})
		first := x.later(t.Context(), `{"id":"a"}`, "Idempotency-Key", "k")
		second := x.later(t.Context(), `{"id":"b","idempotencyKey":"k"}`)
		items := x.claim(5)
		if len(items) != 1 {
			t.Fatalf("claimed %d", len(items))
		}
		localtest.End(t, x, items[0], pipeline.Succeeded)
		third := x.later(t.Context(), `{}`, "Idempotency-Key", "k")
		for i, answer := range []<-chan reply{first, second, third} {
			want := []result{{ID: "a", Duplicate: i > 0, Result: "succeeded"}}
			got := <-answer
			if d := cmp.Diff(want, got.items); d != "" || got.status != http.StatusOK {
				t.Errorf("answer %d: status %d (-want +got):\n%s", i, got.status, d)
			}
		}
		for body, why := range map[string]string{"{\"id\":\"x\"}\n{\"id\":\"y\"}": "one item", `{"idempotencyKey":"other"}`: "is not the item's"} {
			if got := x.post(t.Context(), body, "Idempotency-Key", "k2"); got.status != http.StatusBadRequest || !strings.Contains(got.body, why) {
				t.Errorf("%s: %+v", body, got)
			}
		}
		x.close()
	})
}

func TestManyKeys(t *testing.T) {
	bubble(t, func(t *testing.T, dir string) {
		x := newStation(t, "http:127.0.0.1:80/work?buffer=100000", pipeline.QueueOptions{Dir: dir, Checkpoint: "ckpt"})
		items := make([]kept, maxKeys+5)
		for i := range items {
			items[i] = kept{Item: &pipeline.NewItem{ID: fmt.Sprint(i), IdempotencyKey: fmt.Sprint(i)}}
		}
		if _, err := x.server.buffer.offer(items); err != nil {
			t.Fatal(err)
		}
		for i := range items {
			x.server.buffer.end(x.server.buffer.live[fmt.Sprint(i)], pipeline.Outcome{Result: pipeline.Succeeded})
		}
		b := x.server.buffer
		if len(b.keys) != maxKeys || len(b.ended) != maxKeys || b.keys["4"] != nil || b.keys["5"] == nil {
			t.Errorf("%d keys of %d items are known", len(b.keys), len(b.ended))
		}
		x.close()
	})
}

// A client that goes away takes back what has not begun, and nothing else.
func TestClientLeaves(t *testing.T) {
	bubble(t, func(t *testing.T, _ string) {
		x := newStation(t, "http:127.0.0.1:80/work", pipeline.QueueOptions{})
		ctx, leave := context.WithCancel(t.Context())
		gone := x.later(ctx, `{"id":"begun"}`)
		items := x.claim(1)
		also := x.later(ctx, `{"id":"waiting","idempotencyKey":"k"}`)
		shared := x.later(ctx, `{"id":"shared","idempotencyKey":"s"}`)
		stays := x.later(t.Context(), `{"idempotencyKey":"s"}`)
		leave()
		<-gone
		<-also
		<-shared
		synctest.Wait()
		localtest.End(t, x, items[0], pipeline.Succeeded)
		rest := x.claim(5)
		if len(rest) != 1 || rest[0].ID != "shared" {
			t.Fatalf("claimed %d, want the one that somebody still waits for", len(rest))
		}
		localtest.End(t, x, rest[0], pipeline.Succeeded)
		if got := <-stays; got.status != http.StatusOK {
			t.Errorf("answer %+v", got)
		}
		x.close()
	})
}

// While the run drains, what is in flight is answered, and nothing else is taken.
func TestDrain(t *testing.T) {
	bubble(t, func(t *testing.T, _ string) {
		x := newStation(t, "http:127.0.0.1:80/work", pipeline.QueueOptions{})
		flying := x.later(t.Context(), `{"id":"flying"}`)
		stuck := x.later(t.Context(), `{"id":"stuck"}`)
		items := x.claim(2)
		waiting := x.later(t.Context(), `{"id":"waiting"}`)
		x.drain()
		if got := <-waiting; got.status != http.StatusServiceUnavailable || got.items[0].Result != "" {
			t.Errorf("what waited: %+v", got)
		}
		if got := x.post(t.Context(), `{}`); got.status != http.StatusServiceUnavailable || got.header.Get("Retry-After") == "" {
			t.Errorf("what came later: %+v", got)
		}
		if _, err := x.server.buffer.offer([]kept{{Item: &pipeline.NewItem{ID: "read before the drain"}}}); !errors.Is(err, errDraining) {
			t.Errorf("what was being read: %v", err)
		}
		localtest.End(t, x, items[0], pipeline.Succeeded)
		if got := <-flying; got.status != http.StatusOK {
			t.Errorf("what was in flight: %+v", got)
		}
		if err := x.Nack(t.Context(), items[1], pipeline.Release{Refund: true}); err != nil {
			t.Fatal(err)
		}
		x.close()
		if got := <-stuck; got.status != http.StatusServiceUnavailable {
			t.Errorf("what did not end: %+v", got)
		}
	})
}

func TestRefusedRequests(t *testing.T) {
	bubble(t, func(t *testing.T, _ string) {
		x := newStation(t, "http:127.0.0.1:80/work", pipeline.QueueOptions{Token: "s3cret"})
		const auth, token = "Authorization", "Bearer s3cret"
		for name, tc := range map[string]struct {
			body    string
			headers []string
			status  int
			says    string
		}{
			"no token":        {`{}`, nil, 401, "bearer token"},
			"wrong token":     {`{}`, []string{auth, "Bearer s3cre"}, 401, "bearer token"},
			"bare token":      {`{}`, []string{auth, "s3cret"}, 401, "bearer token"},
			"other site":      {`{}`, []string{auth, token, "Origin", "http://example.com"}, 403, "other sites"},
			"rebound name":    {`{}`, []string{auth, token, "Host", "attacker.example.com:80"}, 403, "not a name of this machine"},
			"not JSON":        {`{"id":`, []string{auth, token}, 400, "cut off"},
			"second line":     {"{}\n{\"x\":1}", []string{auth, token}, 400, `line 2: unknown field \"x\"`},
			"nothing":         {" \n", []string{auth, token}, 400, "no item"},
			"bad priority":    {`{"priority":10}`, []string{auth, token}, 400, "priority 10"},
			"too large":       {strings.Repeat(" ", maxRequest+1), []string{auth, token}, 413, "too large"},
			"body too large":  {`"` + strings.Repeat("x", pipeline.MaxItemBody) + `"`, []string{auth, token}, 400, "JSON object"},
			"too long a name": {`{}`, []string{auth, token, "Idempotency-Key", strings.Repeat("k", 513)}, 400, "idempotencyKey"},
		} {
			got := x.post(t.Context(), tc.body, tc.headers...)
			if got.status != tc.status || !strings.Contains(got.body, tc.says) || strings.Contains(got.body, "s3cret") {
				t.Errorf("%s: status %d, %s; want %d, %q", name, got.status, got.body, tc.status, tc.says)
			}
		}
		for _, tc := range []struct {
			method, path string
			status       int
		}{{"GET", "/work", 405}, {"POST", "/", 404}, {"POST", "/works", 404}} {
			r, err := http.NewRequestWithContext(t.Context(), tc.method, "http://127.0.0.1:80"+tc.path, nil)
			if err != nil {
				t.Fatal(err)
			}
			if got := x.do(r); got.status != tc.status {
				t.Errorf("%s %s: %+v", tc.method, tc.path, got)
			}
		}
		held := x.later(t.Context(), `{"id":"a"}`, auth, token)
		if got := x.post(t.Context(), `{"id":"a"}`, auth, token); got.status != http.StatusConflict {
			t.Errorf("the same id: %+v", got)
		}
		if items := x.claim(100); len(items) != 1 {
			t.Errorf("%d items came of refused requests", len(items)-1)
		}
		x.close()
		<-held
	})
}

func TestRaw(t *testing.T) {
	bubble(t, func(t *testing.T, dir string) {
		o := pipeline.QueueOptions{Dir: dir, Checkpoint: "ckpt", Format: "raw"}
		x := newStation(t, "http:127.0.0.1:80/work", o)
		image := []byte{0xff, 0xd8, 0x00}
		x.post(t.Context(), string(image), "Content-Type", "image/jpeg")
		x.post(t.Context(), "<p>", "Content-Type", "text/html")
		x.close()
		x = newStation(t, "http:127.0.0.1:80/work", o) // from the checkpoint
		items := x.claim(2)
		if len(items) != 2 || !bytes.Equal(items[0].Input, image) || items[0].Body.MediaType() != "image/jpeg" || string(items[1].Input) != "<p>" {
			t.Fatalf("claimed %+v", items)
		}
		for _, it := range items {
			localtest.End(t, x, it, pipeline.Dead)
		}
		x.close()
		text, err := os.ReadFile(filepath.Join(dir, "ckpt.dead.jsonl"))
		if err != nil || !strings.Contains(string(text), `{"base64":"/9gA","mediaType":"image/jpeg"}`) || !strings.Contains(string(text), `"\u003cp\u003e"`) {
			t.Errorf("dead letters %s, error %v", text, err)
		}
	})
}

// Over a real network, as the driver opens it.
func TestLoopback(t *testing.T) {
	s, err := Driver().Open(t.Context(), "http://127.0.0.1:0/work", pipeline.QueueOptions{Format: "jsonl"})
	if err != nil {
		t.Fatal(err)
	}
	src := s.(*source)
	url := "http://" + src.server.listener.Addr().String() + "/work"
	src.server.serve(t.Context())
	answered := make(chan error, 1)
	go func() {
		client := &http.Client{Transport: &http.Transport{DisableKeepAlives: true}}
		resp, err := client.Post(url, "application/json", strings.NewReader(`{"any":"value"}`))
		if err == nil {
			defer resp.Body.Close()
			if text, _ := io.ReadAll(resp.Body); resp.StatusCode != 200 || !strings.Contains(string(text), "succeeded") {
				err = errors.New(resp.Status + " " + string(text))
			}
		}
		answered <- err
	}()
	for ended := false; !ended; {
		items, err := s.Claim(t.Context(), 1)
		if err != nil {
			t.Fatal(err)
		}
		for _, it := range items {
			if string(it.Input) != `{"any":"value"}` || !strings.HasPrefix(it.ID, "http-") {
				t.Errorf("claimed %s: %s", it.ID, it.Input)
			}
			localtest.End(t, s, it, pipeline.Succeeded)
			ended = true
		}
	}
	if err := <-answered; err != nil {
		t.Error(err)
	}
	if _, err := Driver().Open(t.Context(), strings.TrimSuffix(url, "/work"), pipeline.QueueOptions{}); pipeline.CodeOf(err) != "bad-address" {
		t.Errorf("a second listener: %v", err)
	}
	if err := localtest.Close(s); err != nil {
		t.Error(err)
	}
}

func TestRefused(t *testing.T) {
	for url, o := range map[string]pipeline.QueueOptions{
		"http:":                             {},
		"http:8080":                         {},
		"http:127.0.0.1:/x":                 {},
		"http:0.0.0.0:8080/x":               {},
		"http::8080/x":                      {},
		"http:192.0.2.1:8080/x":             {},
		"http:example.com:8080/x":           {},
		"http:127.0.0.1:80/x?buffer=0":      {},
		"http:127.0.0.1:80/x?public=maybe":  {},
		"http:127.0.0.1:80/x?token=t":       {},
		"http:127.0.0.1:80/x?format=lines":  {},
		"http:127.0.0.1:80/x?format=csv":    {},
		"http:127.0.0.1:80/{id}":            {},
		"http:127.0.0.1:80/x":               {Create: true},
		"http:127.0.0.1:80/x?format=items&": {Format: "raw"},
	} {
		if err := Driver().Check(url, o); err == nil {
			t.Errorf("%s: accepted", url)
		}
	}
	for _, url := range []string{"http:127.0.0.1:8080", "http://localhost:8080/x", "http:[::1]:80/x", "http:0.0.0.0:80/x?public=true"} {
		if err := Driver().Check(url, pipeline.QueueOptions{}); err != nil {
			t.Errorf("%s: %v", url, err)
		}
	}
}
