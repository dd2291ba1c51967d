package http

import (
	"context"
	"errors"
	"net"
	"net/netip"
	"strings"

	"github.com/waybill-dev/waybill/pipeline"
	"github.com/waybill-dev/waybill/stages/claim/internal/local"
)

// Scheme is the URL scheme: "http:127.0.0.1:8080/work".
const Scheme = "http"

// formatRaw takes a request's whole body as that of one item.
const formatRaw = "raw"

// Driver returns the driver of the scheme "http".
func Driver() pipeline.QueueDriver {
	return pipeline.QueueDriver{
		Scheme: Scheme,
		Doc:    "http:127.0.0.1:8080/PATH, what clients POST",
		Takes:  []string{"format", "checkpoint", "token"},
		Check: func(url string, o pipeline.QueueOptions) error {
			_, err := parse(url, o)
			return err
		},
		Open: open,
	}
}

// config is what the URL and the stage's keys say.
type config struct {
	name, addr, path, format, token string
	public                          bool
	buffer                          int
}

func parse(url string, o pipeline.QueueOptions) (config, error) {
	_, rest, _ := pipeline.SplitURL(url)
	where, p := local.CutParams(strings.TrimPrefix(rest, "//"))
	addr, path, _ := strings.Cut(where, "/")
	c := config{name: "http:" + addr + "/" + path, addr: addr, path: "/" + path, token: o.Token, public: p.Bool("public"),
		buffer: p.Int("buffer", 64, 1, 100_000)}
	format := p.Text("format", "")
	err := p.Err()
	if err == nil {
		c.format, err = local.Format(format, o.Format, formatRaw)
	}
	if err == nil && c.format == local.FormatLines {
		err = pipeline.Fail("bad-format", "a request has no lines of text").WithHint("format: items, jsonl or raw")
	}
	if err == nil {
		err = c.checkAddress()
	}
	if err != nil {
		return c, err
	}
	return c, local.NoQueue(url, o)
}

func (c config) checkAddress() error {
	host, port, err := net.SplitHostPort(c.addr)
	if err != nil || port == "" {
		return pipeline.Fail("bad-url", "%q is no address to listen at", c.addr).WithHint("such as http:127.0.0.1:8080/work")
	}
	if strings.ContainsAny(c.path, "{} \t") {
		return pipeline.Fail("bad-url", "%q is no path", c.path).WithHint("letters, digits, slashes and dashes")
	}
	if !c.public && !isLoopback(host) {
		return pipeline.Fail("not-loopback", "%s can be reached from other machines", c.addr).
			WithHint("listen at 127.0.0.1, or say ?public=true and give a token")
	}
	return nil
}

// isLoopback reports whether only this machine reaches a host by that name.
func isLoopback(host string) bool {
	ip, err := netip.ParseAddr(host)
	return err == nil && ip.IsLoopback() || host == "localhost"
}

func open(ctx context.Context, url string, o pipeline.QueueOptions) (pipeline.Source, error) {
	c, err := parse(url, o)
	if err != nil {
		return nil, err
	}
	listener, err := new(net.ListenConfig).Listen(ctx, "tcp", c.addr)
	if err != nil {
		return nil, pipeline.Fail("bad-address", "%s: %w", c.name, err)
	}
	s, err := newSource(c, local.Defaults(o), listener)
	if err != nil {
		return nil, errors.Join(err, listener.Close())
	}
	return s, nil
}

func newSource(c config, o pipeline.QueueOptions, listener net.Listener) (*source, error) {
	b := newBuffer(c.buffer, o.Log)
	lc := local.Config{URL: c.name, Options: o, Letters: local.NewLetters("", o.Log)}
	if o.Checkpoint != "" {
		path := local.Resolve(o.Dir, o.Checkpoint)
		lc.Letters = local.NewLetters(path+".dead.jsonl", o.Log)
		j, err := local.OpenLiveJournal(path, c.name)
		if err != nil {
			return nil, err
		}
		if err := b.resume(j); err != nil {
			return nil, errors.Join(err, j.Close())
		}
		lc.Journal = j
	}
	if c.public && c.token == "" {
		o.Log.Warn("anybody who reaches this address can give work to the pipeline", "address", c.addr, "hint", "set token: ${env:...}")
	}
	s := &source{server: newServer(c, b, listener, o.Log)}
	lc.Records = s.server
	s.Source = local.New(lc)
	return s, nil
}

// source begins to serve at the first claim: by then the pipeline has started.
type source struct {
	*local.Source
	server *server
}

// Claim implements pipeline.Source. The context of the first claim is that of
// the run's claims: when it ends, the run drains.
func (s *source) Claim(ctx context.Context, most int) ([]*pipeline.Item, error) {
	s.server.serve(ctx)
	return s.Source.Claim(ctx, most)
}
