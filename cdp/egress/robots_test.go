package egress

import (
	"fmt"
	"net/http"
	"net/url"
	"strings"
	"sync/atomic"
	"testing"
)

// The cases are those of RFC 9309, sections 2.2 and 5.
func TestRobotsRules(t *testing.T) {
	const simple = "\ufeffUser-Agent: *\nDisallow: *.gif$\nDisallow: /example/\nAllow: /publications/\n\nUser-Agent: foobot\nDisallow:/\nAllow:/example/page.html\nAllow:/example/allowed.gif\n\n" +
		"User-Agent: barbot\nUser-Agent: bazbot\nDisallow: /example/page.html\n\nUser-Agent: quxbot\n"
	const longest = "user-agent: FooBot # comment\nallow: /example/page/\ndisallow: /example/page/disallowed.gif\nnonsense\n: x\ndisallow:\nuser-agent: other\ndisallow: /\nuser-agent: foobot\ndisallow: /second*end$\n"
	for _, c := range []struct {
		text, agent, path string
		want              bool
	}{
		{simple, "foobot", "/", false}, {simple, "foobot", "/example/page.html", true}, {simple, "foobot", "/example/allowed.gif", true},
		{simple, "barbot", "/example/page.html", false}, {simple, "bazbot", "/example/page.html", false}, {simple, "barbot", "/x.gif", true},
		{simple, "quxbot", "/example/", true},
		{simple, "waybill", "/x.gif", false}, {simple, "waybill", "/x.gif?y", true}, {simple, "waybill", "/example/", false}, {simple, "waybill", "/publications/", true},
		{longest, "foobot", "/example/page/x", true}, {longest, "foobot", "/example/page/disallowed.gif", false}, {longest, "foobot", "/anything", true},
		{longest, "foobot", "/second/and/end", false}, {longest, "foobot", "/second/end/not", true},
		{"user-agent: *\ndisallow: /a\nallow: /a\n", "x", "/a", true},
		{"user-agent: *\ndisallow: /a*b*c$\n", "x", "/a1b2c", false}, {"user-agent: *\ndisallow: /a*b*c$\n", "x", "/a1c", true},
		{"user-agent: *\ndisallow: /$\n", "x", "/", false}, {"user-agent: *\ndisallow: /$\n", "x", "/a", true},
		{"", "x", "/", true}, {"disallow: /\n", "x", "/", true},
	} {
		if got := parseRobots(c.text, c.agent).allow(c.path); got != c.want {
			t.Errorf("%s for %s: %t, want %t, by\n%s", c.path, c.agent, got, c.want, c.text)
		}
	}
}

func TestRobotsAreAsked(t *testing.T) {
	var status, asked atomic.Int32
	o := serveOrigin(t, true, func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path != "/robots.txt" {
			fmt.Fprint(w, "page")
			return
		}
		asked.Add(1)
		if s := int(status.Load()); s >= 300 && s < 400 {
			http.Redirect(w, r, "/robots.txt", s)
		} else {
			w.WriteHeader(s)
			fmt.Fprint(w, "user-agent: waybill\ndisallow: /private\n")
		}
	})
	for _, c := range []struct {
		status       int
		open, closed bool // whether /open and /private may be fetched
		code         string
	}{{200, true, false, CodeRobots}, {404, true, true, ""}, {503, false, false, CodeUnreachable}, {302, true, true, ""}} {
		status.Store(int32(c.status))
		asked.Store(0)
		l, client := open(t, Policy{Private: true, Robots: true, Roots: trusting(o)})
		for path, want := range map[string]bool{"/open": c.open, "/private/x": c.closed} {
			got, err := get(client, o.URL+path)
			if (err == nil) != want || want && got != "200 page" {
				t.Errorf("%d: %s: %q, %v", c.status, path, got, err)
			}
		}
		refused := 0
		for _, want := range []bool{c.open, c.closed} {
			if !want {
				refused++
			}
		}
		if counts := l.Report().Counts; counts[c.code] != refused || refused == 0 && len(counts) > 0 {
			t.Errorf("%d: %v, want %d of %q", c.status, counts, refused, c.code)
		}
		if n := asked.Load(); n != 1 && c.status != 302 || n > maxRedirects {
			t.Errorf("%d: robots.txt was asked for %d times", c.status, n)
		}
	}
	// What is not allowed is not asked for robots.txt either.
	asked.Store(0)
	l, client := open(t, Policy{Private: true, Robots: true, Roots: trusting(o), Allow: []string{"a.example"}})
	if _, err := get(client, o.URL+"/open"); err == nil || asked.Load() != 0 || !strings.Contains(fmt.Sprint(l.Report().Failures), "does not allow") {
		t.Errorf("%v, asked %d times, %v", err, asked.Load(), l.Report().Failures)
	}
}

// A robots.txt that cannot be had closes its host for a moment, not for a day, and
// what the policy refuses is refused as such.
func TestRobotsThatCannotBeHad(t *testing.T) {
	var away atomic.Bool
	o := serveOrigin(t, false, func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path == "/robots.txt" && away.Load() {
			w.WriteHeader(http.StatusServiceUnavailable)
		}
	})
	away.Store(true)
	l, client := open(t, Policy{Private: true, Robots: true})
	if _, err := get(client, o.URL+"/"); err == nil || len(l.Report().Failures) != 1 || l.Report().Failures[0].Permanent() {
		t.Errorf("while it is away: %v, %v", err, l.Report().Failures)
	}
	away.Store(false)
	if _, err := get(client, o.URL+"/"); err == nil {
		t.Error("it was asked for again at once")
	}
	b := l.proxy.robots
	b.mu.Lock()
	for _, f := range b.rules {
		f.fetched = f.fetched.Add(-robotsRetry)
	}
	b.mu.Unlock()
	if got, err := get(client, o.URL+"/"); err != nil || got != "200 " {
		t.Errorf("when it is back: %s, %v", got, err)
	}
	b.close()
	if e := b.check(t.Context(), &url.URL{Scheme: "http", Host: "a.example"}); e == nil {
		t.Error("it was asked for after the end")
	}

	l, client = open(t, Policy{Robots: true})
	if _, err := get(client, o.URL+"/"); err == nil || l.Report().Counts[CodeAddress] != 1 {
		t.Errorf("a private address: %v", l.Report().Counts)
	}
	moved := serveOrigin(t, false, func(w http.ResponseWriter, r *http.Request) {
		http.Redirect(w, r, "http://other.example/robots.txt", http.StatusFound)
	})
	l, client = open(t, Policy{Private: true, Robots: true, Allow: []string{strings.TrimPrefix(moved.URL, "http://")}})
	if _, err := get(client, moved.URL+"/"); err == nil || l.Report().Counts[CodeHost] != 1 {
		t.Errorf("a robots.txt at a host that is not allowed: %v", l.Report().Counts)
	}
}
