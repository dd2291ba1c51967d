package nats

import (
	"net/url"
	"path/filepath"
	"slices"
	"strconv"
	"strings"

	natsgo "github.com/nats-io/nats.go"
	"github.com/waybill-dev/waybill/pipeline"
	"github.com/waybill-dev/waybill/stages/claim/internal/local"
)

// address is what a URL says.
type address struct {
	shown    string // the URL without secrets
	servers  string // for the client: nats://a:4222,nats://b:4222
	embedded string // folder of the embedded server
	replicas int    // 0: as the stream has it, 1 for a new one
	options  []natsgo.Option
}

// parseAddress reads
//
//	nats://[user:password@]host:port[,host:port...][?replicas=N&tls=1&ca=F&cert=F&key=F&creds=F&nkey=F]
//	nats:embedded?dir=DIR
//
// Files are relative to dir. A parameter that is not known is an error.
func parseAddress(rawURL, dir string) (address, error) {
	text, rawQuery, _ := strings.Cut(rawURL, "?")
	query, err := url.ParseQuery(rawQuery)
	if err != nil {
		return address{}, badURL()
	}
	if text == Scheme+":embedded" {
		return parseEmbedded(rawURL, query, dir)
	}
	a := address{}
	if err := a.hosts(text); err != nil {
		return address{}, err
	}
	if rawQuery != "" {
		a.shown += "?" + rawQuery
	}
	file := func(name string) string {
		if path := query.Get(name); path != "" {
			return local.Resolve(dir, path)
		}
		return ""
	}
	if err := a.secure(query.Get("tls"), file("ca"), file("cert"), file("key")); err != nil {
		return address{}, err
	}
	if err := a.login(file("creds"), file("nkey")); err != nil {
		return address{}, err
	}
	if n := query.Get("replicas"); n != "" {
		if a.replicas, err = strconv.Atoi(n); err != nil || a.replicas < 1 || a.replicas > 5 {
			return address{}, pipeline.Fail("bad-url", "%s: replicas is %q", a.shown, n).WithHint("1 to 5, usually 3")
		}
	}
	return a, a.check(query, "replicas", "tls", "ca", "cert", "key", "creds", "nkey")
}

// hosts reads nats://[user:password@]host:port[,host:port...].
func (a *address) hosts(text string) error {
	rest, ok := strings.CutPrefix(strings.TrimSuffix(text, "/"), Scheme+"://")
	if !ok || rest == "" {
		return badURL()
	}
	user, list := "", rest
	if at := strings.LastIndexByte(rest, '@'); at >= 0 {
		user, list = rest[:at+1], rest[at+1:]
	}
	var servers, shown []string
	for host := range strings.SplitSeq(list, ",") {
		u, err := url.Parse(Scheme + "://" + user + host)
		if err != nil || u.Host == "" || u.Path != "" {
			return badURL()
		}
		servers = append(servers, u.String())
		shown = append(shown, u.Host)
		if u.User != nil {
			user = u.User.String() + "@"
		}
	}
	a.servers, a.shown = strings.Join(servers, ","), Scheme+"://"+strings.Join(shown, ",")
	return nil
}

func parseEmbedded(rawURL string, query url.Values, dir string) (address, error) {
	a := address{shown: rawURL}
	path, err := filepath.Abs(local.Resolve(dir, query.Get("dir")))
	if err != nil || query.Get("dir") == "" {
		return address{}, pipeline.Fail("bad-url", "%s names no folder", rawURL).WithHint("for example nats:embedded?dir=var/nats")
	}
	a.embedded = path
	return a, a.check(query, "dir")
}

// badURL does not repeat the URL: it may have a password where nobody looks.
func badURL() error {
	return pipeline.Fail("bad-url", "this is not a nats: URL").
		WithHint("for example nats://localhost:4222, nats://a:4222,b:4222?replicas=3 or nats:embedded?dir=var/nats")
}

// check refuses parameters that do not exist.
func (a *address) check(q url.Values, known ...string) error {
	for name, values := range q {
		if !slices.Contains(known, name) {
			return pipeline.Fail("bad-url", "%s: unknown parameter %q", a.shown, name).WithHint("known: %s", strings.Join(known, ", "))
		}
		if len(values) > 1 {
			return pipeline.Fail("bad-url", "%s: %q is given twice", a.shown, name)
		}
	}
	return nil
}

// secure asks for TLS: by tls=1, or because there are certificates.
func (a *address) secure(tls, ca, cert, key string) error {
	if tls != "" && tls != "1" && tls != "true" {
		return pipeline.Fail("bad-url", "%s: tls is %q", a.shown, tls).WithHint("tls=1, or leave it out")
	}
	if (cert == "") != (key == "") {
		return pipeline.Fail("bad-url", "%s: cert and key belong together", a.shown)
	}
	if tls != "" {
		a.options = append(a.options, natsgo.Secure())
	}
	if ca != "" {
		a.options = append(a.options, natsgo.RootCAs(ca))
	}
	if cert != "" {
		a.options = append(a.options, natsgo.ClientCert(cert, key))
	}
	return nil
}

// login takes credentials from a file.
func (a *address) login(creds, nkey string) error {
	if creds != "" {
		a.options = append(a.options, natsgo.UserCredentials(creds))
	}
	if nkey != "" {
		o, err := natsgo.NkeyOptionFromSeed(nkey)
		if err != nil {
			return pipeline.Fail("bad-credentials", "%s: nkey: %w", a.shown, err).WithHint("the file has the seed of a user nkey, SU...")
		}
		a.options = append(a.options, o)
	}
	return nil
}
