package mongodb

import (
	"net/url"
	"strconv"
	"strings"

	"github.com/waybill-dev/waybill/pipeline"
)

const (
	defaultPrefix = "waybill_"
	maxLanes      = 256
)

// target is a mongodb: URL taken apart.
type target struct {
	uri    string // for the driver, with the credentials
	shown  string // for people: no credentials, no options
	secret string // the password as written, never to be shown
	db     string
	prefix string // of the collections' names
	lanes  int32  // of queues that are made
}

// parseTarget splits our options from those of the driver. It does not use
// net/url for the whole: a connection string may name several hosts.
func parseTarget(raw string) (target, error) {
	rest, ok := strings.CutPrefix(raw, Scheme+"://")
	if !ok {
		return target{}, badURL("the URL does not begin with %s://", Scheme)
	}
	rest, query, _ := strings.Cut(rest, "?")
	// A path may have no "@", and a password must have its "/" escaped.
	at := strings.LastIndex(rest, "@")
	user, place := rest[:max(at, 0)], rest[at+1:]
	hosts, db, _ := strings.Cut(place, "/")
	t := target{shown: Scheme + "://" + hosts + "/" + db, db: db, prefix: defaultPrefix, lanes: 1}
	_, t.secret, _ = strings.Cut(user, ":")
	if hosts == "" || db == "" || strings.ContainsAny(db, "/\\. \"$") {
		return target{}, badURL("%s must name hosts and one database", t.shown)
	}
	var kept []string
	for _, option := range strings.Split(query, "&") {
		mine, err := t.option(option)
		if err != nil {
			return target{}, err
		}
		if !mine && option != "" {
			kept = append(kept, option)
		}
	}
	t.uri = Scheme + "://" + rest + "?" + strings.Join(kept, "&")
	return t, nil
}

// option takes one of our own options; the others are the driver's.
func (t *target) option(option string) (mine bool, err error) {
	name, value, _ := strings.Cut(option, "=")
	name, mine = strings.CutPrefix(name, "waybill.")
	if !mine {
		return false, nil
	}
	if value, err = url.QueryUnescape(value); err != nil {
		return true, badURL("%s: waybill.%s is not escaped well", t.shown, name)
	}
	switch name {
	case "prefix":
		if value == "" || strings.ContainsAny(value, "$\x00") || strings.HasPrefix(value, "system.") {
			return true, badURL("%s: waybill.prefix=%q cannot begin the name of a collection", t.shown, value)
		}
		t.prefix = value
	case "lanes":
		n, err := strconv.Atoi(value)
		if err != nil || n < 1 || n > maxLanes {
			return true, badURL("%s: waybill.lanes=%q is not 1 to %d", t.shown, value, maxLanes)
		}
		t.lanes = int32(n)
	default:
		return true, badURL("%s: unknown option waybill.%s", t.shown, name)
	}
	return true, nil
}

func badURL(format string, args ...any) error {
	return pipeline.Fail("bad-url", format, args...).
		WithHint("for example mongodb://host1,host2/jobs?replicaSet=rs0; our own options are waybill.prefix and waybill.lanes")
}
