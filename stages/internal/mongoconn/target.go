package mongoconn

import (
	"errors"
	"maps"
	"net/url"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/waybill-dev/waybill/pipeline"
	"go.mongodb.org/mongo-driver/v2/x/mongo/driver/connstring"
)

// Scheme is the URL scheme: "mongodb://host/db".
const Scheme = "mongodb"

// ours begins the names of our own options.
const ours = "waybill."

// Options are a program's own options of a URL, by name: "prefix" is written
// waybill.prefix. Each takes its value, unescaped, or says what is wrong with it.
type Options map[string]func(value string) error

// Target is a mongodb: URL taken apart.
type Target struct {
	URI   string // for the driver, with the credentials
	Shown string // for people: no credentials, no options
	Name  string // of the database

	user   string // as written
	secret string // the password as written, never to be shown
	// private are values of options that are never shown either.
	private []string
	// passwordFile has the password, in place of the URL.
	passwordFile string
	own          Options
}

// Parse splits our options from those of the driver. waybill.passwordFile is
// always known. Errors have the code bad-url.
//
// It does not use net/url for the whole: a connection string may name several
// hosts.
func Parse(raw string, own Options) (Target, error) {
	t := Target{own: own}
	rest, ok := strings.CutPrefix(raw, Scheme+"://")
	if !ok {
		return t, t.bad("the URL does not begin with %s://", Scheme)
	}
	rest, query, _ := strings.Cut(rest, "?")
	// A path may have no "@", and a password must have its "/" escaped.
	at := strings.LastIndex(rest, "@")
	if at < 0 && strings.Contains(query, "@") || strings.Contains(rest[:max(at, 0)], "/") {
		// What follows would take a piece of the password for a host, and show it.
		return Target{}, t.bad("the URL has a character before its last @ that must be escaped, such as %%2F for / and %%3F for ?")
	}
	user, place := rest[:max(at, 0)], rest[at+1:]
	hosts, db, _ := strings.Cut(place, "/")
	t.Shown, t.Name = Scheme+"://"+hosts+"/"+db, db
	t.user, t.secret, _ = strings.Cut(user, ":")
	if hosts == "" || db == "" || strings.ContainsAny(db, "/\\. \"$") {
		return Target{}, t.bad("%s must name hosts and one database", t.Shown)
	}
	var kept []string
	for _, option := range strings.Split(query, "&") {
		mine, err := t.option(option)
		if err != nil {
			return Target{}, err
		}
		if !mine && option != "" {
			kept = append(kept, option)
		}
		if name, value, _ := strings.Cut(strings.ToLower(option), "="); !mine && strings.Contains(name, "password") || name == "authmechanismproperties" {
			t.private = append(t.private, option[len(option)-len(value):])
		}
	}
	t.URI = Scheme + "://" + rest + "?" + strings.Join(kept, "&")
	// The driver itself passes over what it does not know. What it cannot parse it
	// tells Connect.
	if parsed, err := connstring.Parse(t.URI); err == nil && len(parsed.UnknownOptions) > 0 {
		return Target{}, t.bad("%s: unknown option %s", t.Shown, slices.Sorted(maps.Keys(parsed.UnknownOptions))[0])
	}
	return t, nil
}

// option takes one of our own options; the others are the driver's.
func (t *Target) option(option string) (mine bool, err error) {
	name, value, _ := strings.Cut(option, "=")
	name, mine = strings.CutPrefix(name, ours)
	if !mine {
		return false, nil
	}
	if value, err = url.QueryUnescape(value); err != nil {
		return true, t.bad("%s: %s%s is not escaped well", t.Shown, ours, name)
	}
	take := t.own[name]
	switch {
	case name == "passwordFile" && value == "":
		return true, t.bad("%s: waybill.passwordFile names no file", t.Shown)
	case name == "passwordFile":
		t.passwordFile = value
	case take == nil:
		return true, t.bad("%s: unknown option %s%s", t.Shown, ours, name)
	default:
		if err := take(value); err != nil {
			return true, t.bad("%s: %s%s=%q %w", t.Shown, ours, name, value, err)
		}
	}
	return true, nil
}

// readPassword takes the password from the file that the URL names, which is
// relative to dir.
func (t *Target) readPassword(dir string) error {
	if t.passwordFile == "" {
		return nil
	}
	if t.user == "" || t.secret != "" {
		return t.bad("%s: waybill.passwordFile goes with a user and no password in the URL", t.Shown)
	}
	path := t.passwordFile
	if !filepath.IsAbs(path) {
		path = filepath.Join(dir, path)
	}
	data, err := os.ReadFile(path)
	if err != nil {
		return pipeline.Fail("bad-credentials", "%s: waybill.passwordFile: %w", t.Shown, err)
	}
	if t.secret = strings.TrimRight(string(data), "\r\n"); t.secret == "" {
		return pipeline.Fail("bad-credentials", "%s: waybill.passwordFile: %s is empty", t.Shown, path)
	}
	return nil
}

// Hide keeps passwords, escaped or not, out of a message that quotes them.
func (t Target) Hide(err error) error {
	for _, secret := range append(slices.Clone(t.private), t.secret) {
		plain, _ := url.PathUnescape(secret)
		for _, text := range []string{secret, plain} {
			if text != "" && strings.Contains(err.Error(), text) {
				err = errors.New(strings.ReplaceAll(err.Error(), text, "***"))
			}
		}
	}
	return err
}

func (t Target) bad(format string, args ...any) error {
	names := append(slices.Sorted(maps.Keys(t.own)), "passwordFile")
	return pipeline.Fail("bad-url", format, args...).
		WithHint("for example mongodb://host1,host2/jobs?replicaSet=rs0; our own options: %s%s", ours, strings.Join(names, ", "+ours))
}
