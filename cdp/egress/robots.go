package egress

import (
	"bufio"
	"context"
	"crypto/tls"
	"io"
	"net"
	"net/http"
	"net/url"
	"strings"
	"sync"
	"time"
)

const (
	maxRobots     = 500 << 10 // RFC 9309, section 2.5
	robotsTimeout = 10 * time.Second
	robotsAge     = 24 * time.Hour // RFC 9309, section 2.4
	robotsRetry   = time.Minute    // after a failure
	maxRedirects  = 5              // RFC 9309, section 2.3.1.2
)

// robots keeps the rules of each origin (RFC 9309).
type robots struct {
	proxy     *Proxy
	transport *http.Transport
	life      context.Context
	end       context.CancelFunc
	wg        sync.WaitGroup

	mu    sync.Mutex
	rules map[string]*robotsFile // by origin
}

// robotsFile is the answer of one origin. rules and err are there once ready is
// closed.
type robotsFile struct {
	ready   chan struct{}
	fetched time.Time
	rules   rules
	err     *Error // it cannot be had at the moment
}

// fresh tells whether the file still counts. A failure soon does not: a host that
// was away for a moment is not closed for a day.
func (f *robotsFile) fresh() bool {
	select {
	case <-f.ready:
	default:
		return true // it is being fetched
	}
	if f.err != nil {
		return time.Since(f.fetched) < robotsRetry
	}
	return time.Since(f.fetched) < robotsAge
}

func newRobots(x *Proxy) *robots {
	b := &robots{proxy: x, rules: map[string]*robotsFile{}, transport: &http.Transport{
		DialContext: x.dialer.DialContext, ForceAttemptHTTP2: true, IdleConnTimeout: idleTimeout, MaxResponseHeaderBytes: maxHeader,
		TLSClientConfig: &tls.Config{RootCAs: x.policy.Roots, MinVersion: tls.VersionTLS12},
	}}
	b.life, b.end = context.WithCancel(context.Background())
	return b
}

// close ends what is being fetched. Nothing is fetched any more afterwards.
func (b *robots) close() {
	b.mu.Lock()
	b.end()
	b.mu.Unlock()
	b.wg.Wait()
	b.transport.CloseIdleConnections()
}

// check refuses what the origin's robots.txt does not want to be fetched.
func (b *robots) check(ctx context.Context, u *url.URL) *Error {
	if u.Path == "/robots.txt" {
		return nil
	}
	f := b.file(u)
	select {
	case <-f.ready:
	case <-ctx.Done():
		return failed(u, ctx.Err())
	}
	path := u.EscapedPath()
	if path == "" {
		path = "/"
	}
	if u.RawQuery != "" {
		path += "?" + u.RawQuery
	}
	if f.err != nil {
		return refuse(f.err.Code, u, "robots.txt of the host cannot be had, so nothing may be fetched: %w", f.err.Err)
	}
	if !f.rules.allow(path) {
		return refuse(CodeRobots, u, "robots.txt of the host forbids it for %s", b.proxy.policy.Agent)
	}
	return nil
}

// file returns the origin's rules, fetching them if nobody has.
func (b *robots) file(u *url.URL) *robotsFile {
	key := u.Scheme + "://" + u.Host
	b.mu.Lock()
	defer b.mu.Unlock()
	if f := b.rules[key]; f != nil && f.fresh() {
		return f
	}
	if len(b.rules) >= maxHosts {
		clear(b.rules)
	}
	f := &robotsFile{ready: make(chan struct{}), fetched: time.Now()}
	if b.life.Err() != nil {
		f.err = failed(u, net.ErrClosed)
		close(f.ready)
		return f
	}
	b.rules[key] = f
	b.wg.Go(func() {
		defer close(f.ready)
		ctx, cancel := context.WithTimeout(b.life, robotsTimeout)
		defer cancel()
		f.rules, f.err = b.fetch(ctx, &url.URL{Scheme: u.Scheme, Host: u.Host, Path: "/robots.txt"})
	})
	return f
}

// fetch reads the rules. A file that does not exist allows everything; one that
// cannot be had, or whose address the policy refuses, is an error, and allows
// nothing (RFC 9309, section 2.3.1).
func (b *robots) fetch(ctx context.Context, u *url.URL) (rules, *Error) {
	for range maxRedirects {
		if e := b.proxy.listed(u); e != nil {
			return nil, e
		}
		resp, err := b.get(ctx, u)
		if err != nil {
			return nil, failed(u, err)
		}
		body, err := io.ReadAll(io.LimitReader(resp.Body, maxRobots))
		_ = resp.Body.Close()
		switch {
		case err != nil:
			return nil, failed(u, err)
		case resp.StatusCode >= 500:
			return nil, refuse(CodeUnreachable, u, "the host answered %d", resp.StatusCode)
		case resp.StatusCode >= 400:
			return nil, nil
		case resp.StatusCode >= 300:
			next, err := resp.Location()
			if err != nil || next.Scheme != "http" && next.Scheme != "https" {
				return nil, nil
			}
			u = next
		default:
			return parseRobots(string(body), b.proxy.policy.Agent), nil
		}
	}
	return nil, nil
}

func (b *robots) get(ctx context.Context, u *url.URL) (*http.Response, error) {
	r, err := http.NewRequestWithContext(ctx, http.MethodGet, u.String(), nil)
	if err != nil {
		return nil, err
	}
	r.Header.Set("User-Agent", b.proxy.policy.Agent)
	return b.transport.RoundTrip(r)
}

// rules are the lines of the group that is ours.
type rules []rule

type rule struct {
	allow   bool
	pattern string
}

// allow finds the longest pattern that matches; of two equally long ones the one
// that allows wins (RFC 9309, section 2.2.2).
func (r rules) allow(path string) bool {
	best := rule{allow: true}
	for _, x := range r {
		if len(x.pattern) > len(best.pattern) || len(x.pattern) == len(best.pattern) && x.allow {
			if robotsMatch(x.pattern, path) {
				best = x
			}
		}
	}
	return best.allow
}

// robotsMatch matches a prefix in which * is any text and $ at the end is the end.
func robotsMatch(pattern, path string) bool {
	pattern, anchored := strings.CutSuffix(pattern, "$")
	parts := strings.Split(pattern, "*")
	rest, ok := strings.CutPrefix(path, parts[0])
	if !ok {
		return false
	}
	for i, part := range parts[1:] {
		if anchored && i == len(parts)-2 {
			return strings.HasSuffix(rest, part)
		}
		at := strings.Index(rest, part)
		if at < 0 {
			return false
		}
		rest = rest[at+len(part):]
	}
	return !anchored || rest == ""
}

// parseRobots returns the rules for an agent: those of all groups that name it,
// else those of the groups for *.
func parseRobots(text, agent string) rules {
	var own, all rules
	var forOwn, forAll, named, inRules bool
	lines := bufio.NewScanner(strings.NewReader(strings.TrimPrefix(text, "\ufeff")))
	lines.Buffer(nil, maxRobots+1)
	for lines.Scan() {
		line, _, _ := strings.Cut(lines.Text(), "#")
		key, value, ok := strings.Cut(line, ":")
		if !ok {
			continue
		}
		key, value = strings.ToLower(strings.TrimSpace(key)), strings.TrimSpace(value)
		switch key {
		case "user-agent":
			if inRules {
				forOwn, forAll, inRules = false, false, false
			}
			forAll = forAll || value == "*"
			if strings.EqualFold(value, agent) {
				forOwn, named = true, true
			}
		case "allow", "disallow":
			inRules = true
			if value == "" {
				continue
			}
			x := rule{key == "allow", value}
			if forOwn {
				own = append(own, x)
			}
			if forAll {
				all = append(all, x)
			}
		}
	}
	if named {
		return own
	}
	return all
}
