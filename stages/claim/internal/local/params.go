package local

import (
	"fmt"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/waybill-dev/waybill/pipeline"
)

// Params are the parameters of a source's URL, behind its question mark. Each
// is read once by its name; Err tells the first that was bad, and then any that
// nobody asked for.
type Params struct {
	values map[string]string
	known  []string
	err    error
}

// CutParams cuts the parameters off what follows the scheme of a URL.
func CutParams(rest string) (path string, p *Params) {
	path, query, _ := strings.Cut(rest, "?")
	p = &Params{values: map[string]string{}}
	for _, pair := range strings.Split(query, "&") {
		if pair == "" {
			continue
		}
		name, value, ok := strings.Cut(pair, "=")
		plain, err := url.PathUnescape(value) // a plus is a plus here
		switch _, twice := p.values[name]; {
		case !ok || name == "" || err != nil:
			p.fail("want name=value, got %q", pair)
		case twice:
			p.fail("parameter %q twice", name)
		}
		p.values[name] = plain
	}
	return path, p
}

func (p *Params) fail(format string, args ...any) {
	if p.err == nil {
		p.err = pipeline.Fail("bad-url", format, args...)
	}
}

func (p *Params) take(name string) (string, bool) {
	p.known = append(p.known, name)
	value, ok := p.values[name]
	delete(p.values, name)
	return value, ok
}

// Text returns a parameter that must not be empty if it is there.
func (p *Params) Text(name, otherwise string) string {
	value, ok := p.take(name)
	if !ok {
		return otherwise
	}
	if value == "" {
		p.fail("parameter %q is empty", name)
	}
	return value
}

// OneOf returns a parameter that has one of these values.
func (p *Params) OneOf(name, otherwise string, values ...string) string {
	value := p.Text(name, otherwise)
	if value != otherwise && !slices.Contains(values, value) {
		p.fail("%s=%s: want %s", name, value, strings.Join(values, ", "))
	}
	return value
}

// Duration returns a parameter such as 500ms, at least least.
func (p *Params) Duration(name string, otherwise, least time.Duration) time.Duration {
	value, ok := p.take(name)
	if !ok {
		return otherwise
	}
	d, err := pipeline.ParseDuration(value)
	if err != nil || d.D() < least {
		p.fail("%s=%s: want a duration of %v or more", name, value, least)
	}
	return d.D()
}

// Int returns a whole number between bounds.
func (p *Params) Int(name string, otherwise, least, most int) int {
	value, ok := p.take(name)
	if !ok {
		return otherwise
	}
	n, err := strconv.Atoi(value)
	if err != nil || n < least || n > most {
		p.fail("%s=%s: want a whole number %d to %d", name, value, least, most)
	}
	return n
}

// Bool returns true or false.
func (p *Params) Bool(name string) bool {
	return p.OneOf(name, "false", "true", "false") == "true"
}

// Err returns what was wrong, with the code bad-url.
func (p *Params) Err() error {
	for name := range p.values {
		hint := "this source has none"
		if len(p.known) > 0 {
			hint = "known: " + strings.Join(p.known, ", ")
		}
		if near := pipeline.Nearest(name, p.known); near != "" {
			hint = fmt.Sprintf("did you mean %s?", near)
		}
		if p.err == nil {
			p.err = pipeline.Fail("bad-url", "unknown parameter %q", name).WithHint("%s", hint)
		}
	}
	return p.err
}

// NoQueue refuses to make a source as if it were a queue.
func NoQueue(url string, o pipeline.QueueOptions) error {
	if !o.Create {
		return nil
	}
	return pipeline.Fail("no-queue", "%s is an input to read, not a queue to fill", url).WithHint("sqlite:var/queue.db makes a queue")
}
