package capability

import (
	"bytes"
	"compress/gzip"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"strings"
	"sync/atomic"
	"testing"
	"time"
)

// serve starts a server on the loopback and returns host:port of it.
func serve(t *testing.T, h http.HandlerFunc) string {
	t.Helper()
	s := httptest.NewServer(h)
	t.Cleanup(s.Close)
	return strings.TrimPrefix(s.URL, "http://")
}

// client makes a client that may use the loopback.
func client(t *testing.T, c HTTPConfig) *HTTP {
	t.Helper()
	c.Private = true
	return publicClient(t, c)
}

func publicClient(t *testing.T, c HTTPConfig) *HTTP {
	t.Helper()
	h, err := NewHTTP(c)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(h.Close)
	return h
}

// ask sends a request with a head of alternating keys and values.
func ask(t *testing.T, h *HTTP, body string, head ...any) (response, error) {
	t.Helper()
	object := map[string]any{}
	for i := 0; i < len(head); i += 2 {
		object[head[i].(string)] = head[i+1]
	}
	text, err := json.Marshal(object)
	if err != nil {
		t.Fatal(err)
	}
	raw, err := h.Do(t.Context(), message(string(text), body))
	if err != nil {
		return response{}, err
	}
	return parseResponse(t, raw), nil
}

// refused checks the code and that the message has a part.
func refused(t *testing.T, what string, err error, want Code, part string) {
	t.Helper()
	if err == nil || CodeOf(err) != want || !strings.Contains(err.Error(), part) {
		t.Errorf("%s: %v (code %d), want code %d with %q", what, err, CodeOf(err), want, part)
	}
}

// at resolves every name to some addresses.
func at(addrs ...string) func(context.Context, string) ([]netip.Addr, error) {
	return func(context.Context, string) ([]netip.Addr, error) {
		list := make([]netip.Addr, len(addrs))
		for i, a := range addrs {
			list[i] = netip.MustParseAddr(a)
		}
		return list, nil
	}
}

func TestExchange(t *testing.T) {
	var got *http.Request
	var body []byte
	host := serve(t, func(w http.ResponseWriter, r *http.Request) {
		got = r
		body, _ = io.ReadAll(r.Body)
		w.Header()["X-Answer"] = []string{"a", "b"}
		w.WriteHeader(http.StatusTeapot)
		fmt.Fprintf(w, "<%s>", body)
	})
	h := client(t, HTTPConfig{Hosts: []string{host}, Methods: []string{"GET", "PUT", "HEAD"}})
	r, err := ask(t, h, "hello", "method", "PUT", "url", "http://"+host+"/a/b?c=d#e", "headers", map[string]string{"x-q": "1", "accept": "text/plain"})
	if err != nil {
		t.Fatal(err)
	}
	if r.status != http.StatusTeapot || r.body != "<hello>" || r.headers["x-answer"] != "a, b" || r.headers["content-length"] != "7" {
		t.Errorf("got %+v", r)
	}
	if got.Method != "PUT" || got.RequestURI != "/a/b?c=d" || got.Header.Get("X-Q") != "1" || got.Header.Get("Accept") != "text/plain" ||
		got.Header.Get("User-Agent") != userAgent || got.Host != host {
		t.Errorf("the server saw %+v", got)
	}
	if r, err = ask(t, h, "", "url", "http://"+host); err != nil || r.body != "<>" || got.Method != "GET" {
		t.Errorf("defaults: %+v, %v", r, err)
	}
	if r, err = ask(t, h, "", "method", "HEAD", "url", "http://"+host); err != nil || r.body != "" || r.status != http.StatusTeapot {
		t.Errorf("HEAD: %+v, %v", r, err)
	}
}

func TestWhatIsNotGranted(t *testing.T) {
	var asked atomic.Int32
	count := func(http.ResponseWriter, *http.Request) { asked.Add(1) }
	host, other := serve(t, count), serve(t, count)
	h := client(t, HTTPConfig{Hosts: []string{host}, Credentials: map[string]Credential{"api": {Header: "x-api-key", Value: "hidden"}}})
	for name, tt := range map[string]struct {
		head []any
		code Code
		part string
	}{
		"another host":            {[]any{"url", "http://" + other}, Denied, "host"},
		"another name of it":      {[]any{"url", "http://localhost" + host[strings.LastIndex(host, ":"):]}, Denied, "localhost"},
		"a method":                {[]any{"url", "http://" + host, "method", "POST"}, Denied, "POST"},
		"a method in lower case":  {[]any{"url", "http://" + host, "method", "get"}, Denied, "get"},
		"no method":               {[]any{"url", "http://" + host, "method", ""}, Denied, "method"},
		"a scheme":                {[]any{"url", "ftp://" + host}, Denied, "ftp"},
		"a file":                  {[]any{"url", "file:///etc/hosts"}, Failed, "url"},
		"a user":                  {[]any{"url", "http://a:b@" + host}, Denied, "user name"},
		"no url":                  {nil, Failed, "url"},
		"not a url":               {[]any{"url", "http://[::1"}, Failed, "url"},
		"an unknown credential":   {[]any{"url", "http://" + host, "credential", "API"}, Denied, "API"},
		"the credential's header": {[]any{"url", "http://" + host, "credential", "api", "headers", map[string]string{"X-API-KEY": "mine"}}, Denied, "credential"},
		"the host's header":       {[]any{"url", "http://" + host, "headers", map[string]string{"Host": "example.com"}}, Denied, "Host"},
	} {
		_, err := ask(t, h, "", tt.head...)
		refused(t, name, err, tt.code, tt.part)
	}
	if asked.Load() > 0 {
		t.Errorf("%d requests were sent", asked.Load())
	}
}

func TestCredentials(t *testing.T) {
	var key, auth string
	see := func(_ http.ResponseWriter, r *http.Request) {
		key, auth = r.Header.Get("X-Api-Key"), r.Header.Get("Authorization")
	}
	host, other := serve(t, see), serve(t, see)
	h := client(t, HTTPConfig{Hosts: []string{host, other}, Credentials: map[string]Credential{
		"key":  {Header: "x-api-key", Value: "s3cret", Hosts: []string{host}},
		"auth": {Header: "Authorization", Value: "Bearer s3cret"},
	}})
	for _, tt := range []struct{ host, name, key, auth string }{
		{host, "key", "s3cret", ""}, {host, "auth", "", "Bearer s3cret"}, {other, "auth", "", "Bearer s3cret"}, {host, "", "", ""},
	} {
		r, err := ask(t, h, "", "url", "http://"+tt.host, "credential", tt.name)
		if err != nil || key != tt.key || auth != tt.auth || strings.Contains(fmt.Sprint(r), "s3cret") {
			t.Errorf("%+v: the server saw %q and %q; %v, %v", tt, key, auth, r, err)
		}
	}
	_, err := ask(t, h, "", "url", "http://"+other, "credential", "key")
	refused(t, "a host that it is not for", err, Denied, "is not for host")
	h = publicClient(t, HTTPConfig{Hosts: []string{"api.example.com"}, Credentials: map[string]Credential{"key": {Header: "X", Value: "s3cret"}},
		Resolve: func(context.Context, string) ([]netip.Addr, error) {
			t.Error("the host was looked up")
			return nil, nil
		}})
	_, err = ask(t, h, "", "url", "http://api.example.com", "credential", "key")
	refused(t, "without TLS", err, Denied, "over https only")
}

// TestPublicOnly: by name, by address, in each form, whatever a name resolves to.
func TestPublicOnly(t *testing.T) {
	var asked atomic.Int32
	host := serve(t, func(http.ResponseWriter, *http.Request) { asked.Add(1) })
	_, port, _ := net.SplitHostPort(host)
	hosts := []string{"127.0.0.1:" + port, "[::1]:" + port, "[::ffff:127.0.0.1]:" + port, "0.0.0.0:" + port, "*.example.com:" + port}
	for _, where := range hosts {
		for _, addrs := range [][]string{{"127.0.0.1"}, {"::ffff:127.0.0.1"}, {"0.0.0.0", "127.0.0.1"}, {"0.0.0.0"}, {"64:ff9b::7f00:1"}} {
			h := publicClient(t, HTTPConfig{Hosts: hosts, Resolve: at(addrs...)})
			_, err := ask(t, h, "", "url", "http://"+strings.Replace(where, "*", "a", 1))
			refused(t, where+" at "+strings.Join(addrs, ", "), err, Denied, "not of the public internet")
			for _, a := range addrs {
				if !strings.Contains(where, a) && strings.Contains(err.Error(), a) {
					t.Errorf("the message names %s: %v", a, err)
				}
			}
		}
	}
	if asked.Load() > 0 {
		t.Errorf("%d requests were sent", asked.Load())
	}
}

// TestRebinding: a name that changes its address between two looks is dialled at
// the address that was checked, for there is one look only.
func TestRebinding(t *testing.T) {
	host := serve(t, func(w http.ResponseWriter, _ *http.Request) { w.Header().Set("Connection", "close") })
	_, port, _ := net.SplitHostPort(host)
	looks := 0
	resolve := func(context.Context, string) ([]netip.Addr, error) {
		looks++
		if looks == 1 {
			return []netip.Addr{netip.MustParseAddr("127.0.0.1")}, nil
		}
		return []netip.Addr{netip.MustParseAddr("0.0.0.0")}, nil // reaches the loopback, and is refused always
	}
	h := client(t, HTTPConfig{Hosts: []string{"api.example.com:" + port}, Resolve: resolve})
	if _, err := ask(t, h, "", "url", "http://api.example.com:"+port); err != nil || looks != 1 {
		t.Fatalf("%d looks, %v", looks, err)
	}
	_, err := ask(t, h, "", "url", "http://api.example.com:"+port)
	refused(t, "the second address", err, Denied, "not of the public internet")
	if looks != 2 {
		t.Errorf("%d looks", looks)
	}
}

// closedPort returns an address on which nobody listens.
func closedPort(t *testing.T) string {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = l.Close() }()
	return l.Addr().String()
}

func TestTheNextAddressIsTried(t *testing.T) {
	host := serve(t, func(w http.ResponseWriter, _ *http.Request) { fmt.Fprint(w, "second") })
	_, port, _ := net.SplitHostPort(host)
	h := client(t, HTTPConfig{Hosts: []string{"api.example.com:" + port}, Resolve: at("127.0.0.2", "127.0.0.1")})
	if r, err := ask(t, h, "", "url", "http://api.example.com:"+port); err != nil || r.body != "second" {
		t.Errorf("%+v, %v", r, err)
	}
}

// TestFailuresTellNoAddresses: neither of resolvers nor of what they answered.
func TestFailuresTellNoAddresses(t *testing.T) {
	_, port, _ := net.SplitHostPort(closedPort(t))
	for name, tt := range map[string]struct {
		resolve func(context.Context, string) ([]netip.Addr, error)
		part    string
	}{
		"refused":      {at("127.0.0.1"), "connection refused"},
		"no addresses": {at(), "not known"},
		"unknown": {func(context.Context, string) ([]netip.Addr, error) {
			return nil, &net.DNSError{Err: "no such host", Name: "api.example.com", Server: "10.0.0.53:53", IsNotFound: true}
		}, "not known"},
		"broken": {func(context.Context, string) ([]netip.Addr, error) {
			return nil, &net.DNSError{Err: "server misbehaving", Name: "api.example.com", Server: "10.0.0.53:53"}
		}, "cannot be resolved"},
		"slow": {func(ctx context.Context, _ string) ([]netip.Addr, error) {
			<-ctx.Done()
			return nil, &net.OpError{Op: "read", Addr: &net.UDPAddr{IP: net.IPv4(10, 0, 0, 53), Port: 53}, Err: ctx.Err()}
		}, "no answer in time"},
	} {
		h := client(t, HTTPConfig{Hosts: []string{"api.example.com:" + port}, Resolve: tt.resolve, Timeout: 50 * time.Millisecond})
		_, err := ask(t, h, "", "url", "http://api.example.com:"+port)
		refused(t, name, err, Failed, tt.part)
		if strings.Contains(err.Error(), "127.0.0.1") || strings.Contains(err.Error(), "10.0.0.53") {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func TestSizes(t *testing.T) {
	const limit = 4096
	fill := strings.Repeat("x", limit)
	host := serve(t, func(w http.ResponseWriter, r *http.Request) {
		switch r.URL.Path {
		case "/known":
			w.Header().Set("Content-Length", "100000000")
			w.(http.Flusher).Flush()
			<-r.Context().Done() // the length is enough
		case "/endless":
			for _, err := fmt.Fprint(w, fill); err == nil; _, err = fmt.Fprint(w, fill) {
				w.(http.Flusher).Flush()
			}
		case "/bomb":
			w.Header().Set("Content-Encoding", "gzip")
			z := gzip.NewWriter(w)
			fmt.Fprint(z, strings.Repeat(fill, 100))
			_ = z.Close()
		case "/headers":
			w.Header().Set("X-Large", fill)
		case "/flood":
			w.Header().Set("X-Large", strings.Repeat(fill, 2*maxHeaderBytes/limit))
		case "/zip":
			w.Header().Set("Content-Encoding", "gzip")
			z := gzip.NewWriter(w)
			fmt.Fprint(z, "small")
			_ = z.Close()
		}
	})
	h := client(t, HTTPConfig{Hosts: []string{host}, Methods: []string{"GET", "POST"}, Request: limit, Response: limit})
	for path, want := range map[string]Code{"/known": TooLarge, "/endless": TooLarge, "/bomb": TooLarge, "/headers": TooLarge, "/flood": Failed} {
		_, err := ask(t, h, "", "url", "http://"+host+path)
		refused(t, path, err, want, "")
	}
	if r, err := ask(t, h, "", "url", "http://"+host+"/zip"); err != nil || r.body != "small" {
		t.Errorf("a small body that is compressed: %+v, %v", r, err)
	}
	_, err := ask(t, h, fill, "method", "POST", "url", "http://"+host)
	refused(t, "a large request", err, TooLarge, "4096")
	head := `{"method":"POST","url":"http://` + host + `"}`
	if _, err := h.Do(t.Context(), message(head, fill[:limit-4-len(head)])); err != nil {
		t.Errorf("a request as large as may be: %v", err)
	}
}

// TestResponseOfExactlyTheLimit: the limit is that of the encoded answer.
func TestResponseOfExactlyTheLimit(t *testing.T) {
	host := serve(t, func(w http.ResponseWriter, r *http.Request) {
		w.Header()["Date"] = nil
		w.Header().Set("Content-Type", "a/b")
		w.Header()["Content-Length"] = []string{"1000"}
		fmt.Fprint(w, strings.Repeat("x", 1000))
	})
	const encoded = 8 + len(`{"content-length":"1000","content-type":"a/b"}`) + 1000
	for limit, good := range map[int64]bool{int64(encoded): true, int64(encoded) - 1: false} {
		h := client(t, HTTPConfig{Hosts: []string{host}, Response: limit})
		raw, err := h.Do(t.Context(), message(`{"url":"http://`+host+`"}`, ""))
		if (err == nil) != good || good && len(raw) != encoded {
			t.Errorf("limit %d: %d bytes, %v", limit, len(raw), err)
		}
	}
}

// stuck is a server that answers nothing, or half, until the test ends.
func stuck(t *testing.T, half bool) (host string, entered chan struct{}) {
	entered = make(chan struct{}, 8)
	return serve(t, func(w http.ResponseWriter, r *http.Request) {
		if half {
			w.Header().Set("Content-Length", "10")
			fmt.Fprint(w, "half")
			w.(http.Flusher).Flush()
		}
		entered <- struct{}{}
		<-r.Context().Done()
	}), entered
}

func TestSlowServers(t *testing.T) {
	for _, half := range []bool{false, true} {
		host, entered := stuck(t, half)
		h := client(t, HTTPConfig{Hosts: []string{host}, Timeout: 50 * time.Millisecond})
		_, err := ask(t, h, "", "url", "http://"+host)
		refused(t, "the grant's timeout", err, Failed, "no answer in time")
		<-entered

		h = client(t, HTTPConfig{Hosts: []string{host}, Timeout: time.Hour})
		ctx, cancel := context.WithCancel(t.Context())
		done := make(chan error, 1)
		go func() {
			_, err := h.Do(ctx, message(`{"url":"http://`+host+`"}`, ""))
			done <- err
		}()
		<-entered
		cancel()
		if err := <-done; !errors.Is(err, context.Canceled) {
			t.Errorf("cancelled: %v", err)
		}
		ctx, cancel = context.WithTimeout(t.Context(), 50*time.Millisecond)
		_, err = h.Do(ctx, message(`{"url":"http://`+host+`"}`, ""))
		if cancel(); !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("the caller's deadline: %v", err)
		}
	}
}

func TestTLSIsVerified(t *testing.T) {
	s := httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { fmt.Fprint(w, r.Proto) }))
	s.Config.ErrorLog = quiet()
	s.EnableHTTP2 = true
	s.StartTLS()
	t.Cleanup(s.Close)
	_, port, _ := net.SplitHostPort(s.Listener.Addr().String())
	host := "example.com:" + port // a name of the server's certificate
	strange := "other.invalid:" + port
	hosts := []string{host, strange}
	h := client(t, HTTPConfig{Hosts: hosts, Resolve: at("127.0.0.1")})
	_, err := ask(t, h, "", "url", "https://"+host)
	refused(t, "an unknown authority", err, Failed, "certificate")

	roots := s.Client().Transport.(*http.Transport).TLSClientConfig.RootCAs
	h = client(t, HTTPConfig{Hosts: hosts, Resolve: at("127.0.0.1"), Roots: roots})
	if r, err := ask(t, h, "", "url", "https://"+host); err != nil || r.body != "HTTP/2.0" {
		t.Errorf("a known authority: %+v, %v", r, err)
	}
	_, err = ask(t, h, "", "url", "https://"+strange)
	refused(t, "another name", err, Failed, "certificate")
}

// TestNothingFromTheEnvironment: no proxy, no cookies.
func TestNothingFromTheEnvironment(t *testing.T) {
	var cookies atomic.Int32
	host := serve(t, func(w http.ResponseWriter, r *http.Request) {
		cookies.Add(int32(len(r.Cookies())))
		http.SetCookie(w, &http.Cookie{Name: "a", Value: "b"})
	})
	h := client(t, HTTPConfig{Hosts: []string{host}})
	for range 2 {
		if r, err := ask(t, h, "", "url", "http://"+host); err != nil || r.headers["set-cookie"] != "a=b" {
			t.Errorf("%+v, %v", r, err)
		}
	}
	if cookies.Load() > 0 {
		t.Error("a cookie was kept")
	}
	if h.client.Transport.(*http.Transport).Proxy != nil {
		t.Error("proxies are looked up")
	}
}

// TestAnswersThatAreNotHTTP end as failures that do not repeat what was read:
// the port may be that of another protocol.
func TestAnswersThatAreNotHTTP(t *testing.T) {
	for _, answer := range []string{"220 internal.example SMTP\r\n", "", "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nzzz", "HTTP/1.1 302 Found\r\nLocation: ::\r\n\r\n"} {
		l, err := net.Listen("tcp", "127.0.0.1:0")
		if err != nil {
			t.Fatal(err)
		}
		go func() {
			for {
				c, err := l.Accept()
				if err != nil {
					return
				}
				_, _ = c.Read(make([]byte, 4096))
				_, _ = io.Copy(c, bytes.NewReader([]byte(answer)))
				_ = c.Close()
			}
		}()
		h := client(t, HTTPConfig{Hosts: []string{l.Addr().String()}})
		_, err = ask(t, h, "", "url", "http://"+l.Addr().String())
		refused(t, answer, err, Failed, "the exchange failed")
		if strings.Contains(err.Error(), "internal") {
			t.Error(err)
		}
		_ = l.Close()
	}
}

func TestHTTPProblems(t *testing.T) {
	bad := HTTPConfig{
		Hosts: []string{"api.example.com", "http://example.com"}, Methods: []string{"GET", "", "CONNECT", "A B"}, Timeout: -1,
		Request: -1, Response: MaxHTTPSize + 1,
		Credentials: map[string]Credential{
			"a": {Header: "a b", Value: "x"}, "b": {Header: "host", Value: "x\n"}, "c": {Header: "X", Hosts: []string{"*"}},
		},
	}
	_, err := NewHTTP(bad)
	if err == nil {
		t.Fatal("no problem was found")
	}
	for _, path := range []string{"hosts[1]", "methods[1]", "methods[2]", "methods[3]", "timeout", "request", "response",
		"credentials.a.header", "credentials.b.header", "credentials.b.value", "credentials.c.value", "credentials.c.hosts[0]"} {
		if !strings.Contains(err.Error(), path+": ") {
			t.Errorf("%s is not in %v", path, err)
		}
	}
	if n := len(bad.Problems()); n != 12 {
		t.Errorf("%d problems", n)
	}
	if found := (HTTPConfig{}).Problems(); len(found) != 1 || found[0].Path != "hosts" {
		t.Errorf("nothing at all: %v", found)
	}
}

func TestURLsAreNotRepeatedInFull(t *testing.T) {
	h := client(t, HTTPConfig{Hosts: []string{"api.example.com"}})
	for _, u := range []string{"http://" + strings.Repeat("a", 5000), strings.Repeat("a", 5000) + "://x", "http://x/" + strings.Repeat("a", 5000)} {
		_, err := ask(t, h, "", "url", u)
		if err == nil || len(err.Error()) > 1000 {
			t.Errorf("%d bytes of message", len(fmt.Sprint(err)))
		}
	}
}
