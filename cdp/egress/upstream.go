package egress

import (
	"bufio"
	"context"
	"crypto/tls"
	"encoding/base64"
	"fmt"
	"net"
	"net/http"
	"net/netip"
	"net/url"
	"time"
)

// upstream reaches checked addresses through another proxy. It asks that proxy
// for the address, not for the name, so that the address which was checked is the
// one that is reached.
type upstream struct {
	url *url.URL
}

// dial opens a tunnel to an address (RFC 9110, section 9.3.6).
func (p upstream) dial(ctx context.Context, to netip.AddrPort) (net.Conn, error) {
	conn, err := p.connect(ctx)
	if err != nil {
		return nil, fmt.Errorf("the upstream proxy cannot be reached: %w", err)
	}
	if err := p.tunnel(ctx, conn, to.String()); err != nil {
		_ = conn.Close()
		return nil, err
	}
	return conn, nil
}

func (p upstream) connect(ctx context.Context) (net.Conn, error) {
	port := p.url.Port()
	if port == "" {
		port = map[string]string{"http": "80", "https": "443"}[p.url.Scheme]
	}
	address := net.JoinHostPort(p.url.Hostname(), port)
	if p.url.Scheme == "https" {
		return (&tls.Dialer{Config: &tls.Config{MinVersion: tls.VersionTLS12}}).DialContext(ctx, "tcp", address)
	}
	return (&net.Dialer{}).DialContext(ctx, "tcp", address)
}

func (p upstream) tunnel(ctx context.Context, conn net.Conn, to string) error {
	stop := context.AfterFunc(ctx, func() { _ = conn.SetDeadline(time.Unix(1, 0)) })
	defer stop()
	r := &http.Request{Method: http.MethodConnect, URL: &url.URL{Opaque: to}, Host: to, Header: http.Header{}}
	if u := p.url.User; u != nil {
		password, _ := u.Password()
		r.Header.Set("Proxy-Authorization", "Basic "+base64.StdEncoding.EncodeToString([]byte(u.Username()+":"+password)))
	}
	if err := r.Write(conn); err != nil {
		return fmt.Errorf("the upstream proxy does not answer: %w", err)
	}
	// An answer to CONNECT has no body, and the origin speaks only after us, so
	// nothing behind the head can get lost in the reader.
	resp, err := http.ReadResponse(bufio.NewReader(conn), r)
	if err != nil {
		return fmt.Errorf("the upstream proxy does not answer: %w", err)
	}
	if resp.StatusCode != http.StatusOK {
		return fmt.Errorf("the upstream proxy refused the connection: %s", resp.Status)
	}
	return nil
}
