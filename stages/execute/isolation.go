package execute

import (
	"cmp"
	"path/filepath"

	"github.com/waybill-dev/waybill/cdp"
	"github.com/waybill-dev/waybill/pipeline"
)

// SessionConfig keeps the browser context of an item, with its page as it was
// left, for the next item with the same key. They take turns.
type SessionConfig struct {
	// Whose session it is.
	Key pipeline.Template `yaml:"key"`
	// How long a session waits for its next item; the default is 5 minutes.
	TTL pipeline.Duration `yaml:"ttl,optional" min:"1s"`
	// How many items have a session before it ends; the default is 50.
	Uses int `yaml:"uses,optional" min:"1"`
}

// validateIsolation checks that the keys fit the isolation.
func (c Config) validateIsolation(v *pipeline.Validation) {
	for _, k := range []struct {
		field    string
		set      bool
		wants    cdp.Isolation
		required bool
		hint     string
	}{
		{"trustKey", c.TrustKey != nil, cdp.IsolatePage, true, "pages are only shared by items that may see each other's traces: trustKey: ${{ item.meta.customer }}"},
		{"profile", c.Profile != nil, cdp.IsolateProfile, true, "name the profile: profile: ${{ item.meta.account }}"},
		{"session", c.Session != nil, cdp.IsolateContext, false, "a session keeps a browser context"},
	} {
		switch fits := c.Isolation == string(k.wants); {
		case k.set && !fits:
			v.Problem(k.field, pipeline.CodeBadValue, "say isolation: "+string(k.wants), "%s does not go with isolation %s", k.field, c.Isolation)
		case !k.set && fits && k.required:
			v.Problem("isolation", pipeline.CodeMissingKey, k.hint, "isolation %s needs the key %q", c.Isolation, k.field)
		}
	}
	if e := c.Browser.Endpoint; e != "" {
		if err := cdp.CheckEndpoint(e); err != nil {
			v.Problem("browser.endpoint", pipeline.CodeBadValue, "such as ws://127.0.0.1:9222/devtools/browser/...", "%v", err)
		}
		if c.Isolation == string(cdp.IsolateProfile) || c.Isolation == string(cdp.IsolateProcess) {
			v.Problem("isolation", pipeline.CodeBadValue, "page or context", "isolation %s needs browsers of our own, and endpoint names somebody else's", c.Isolation)
		}
	}
}

// request says what kind of browser session the item gets.
func (c Config) request(it *pipeline.Item, env pipeline.Env) (cdp.Request, error) {
	r := cdp.Request{Isolation: cdp.Isolation(c.Isolation), Group: env.Run.Pipeline}
	for _, t := range []*pipeline.Template{c.TrustKey, c.Profile} {
		if t != nil {
			key, err := sessionKey(t, it)
			if err != nil {
				return r, err
			}
			r.Key = key
		}
	}
	if c.Session != nil {
		key, err := sessionKey(&c.Session.Key, it)
		if err != nil {
			return r, err
		}
		r.Sticky = cdp.Sticky{Key: key, TTL: c.Session.TTL.D(), Uses: c.Session.Uses}
	}
	return r, nil
}

// sessionKey evaluates a key. An empty one would let strangers share.
func sessionKey(t *pipeline.Template, it *pipeline.Item) (string, error) {
	key, err := t.Text(it)
	if err == nil && key == "" {
		err = pipeline.Fail("empty-key", "the key of the item's browser session is empty")
	}
	return key, err
}

// profileFolder is where profiles are kept; empty: the default of package cdp.
func (c Config) profileFolder(env pipeline.Env) string {
	if p := c.Browser.Profiles; p != "" && !filepath.IsAbs(p) {
		return filepath.Join(env.Dir, p)
	}
	return cmp.Or(c.Browser.Profiles, "")
}
