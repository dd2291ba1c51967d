package execute

import (
	"context"
	"errors"
	"sync"

	"github.com/waybill-dev/waybill/cdp"
	"github.com/waybill-dev/waybill/pipeline"
)

// RenewalConfig says what is done when a page wants a login: steps that log in
// run once for all items with the same key that need it at that moment, the
// cookies they get go to all of them and to those that come later, and the
// item's steps run again from the first.
type RenewalConfig struct {
	// Whose login it is; the default is one for all items of the stage.
	Key *pipeline.Template `yaml:"key,optional"`
	// Statuses of the last page that say that a login is wanted; the default is
	// 401 and 403.
	Status statuses `yaml:"status,optional"`
	// Pattern of the login page's address, such as "*/login": a step that fails
	// there wants a login.
	URL string `yaml:"url,optional" secret:"false"`
	// Steps that log in.
	Run Steps `yaml:"run"`
	// What is done afterwards.
	Then string `yaml:"then,optional" enum:"retry"`
}

// defaultAuth are the statuses that ask for a login (RFC 9110, 15.5.2, 15.5.4).
var defaultAuth = statuses{{401, 401}, {403, 403}}

// validate checks what the types do not say.
func (c *RenewalConfig) validate(v *pipeline.Validation) {
	if c != nil && len(c.Run) == 0 {
		v.Problem("onAuthError.run", pipeline.CodeEmptyValue, "navigate to the login page, type, click", "there is no step that logs in")
	}
}

// wanted reports whether the page, or the step that failed there, wants a login.
func (c *RenewalConfig) wanted(page cdp.Page, err error) bool {
	status := c.Status
	if len(status) == 0 {
		status = defaultAuth
	}
	return status.has(page.Status) || err != nil && c.URL != "" && cdp.Match(c.URL, page.URL)
}

// runLoggedIn runs the item's steps, and again after a login if the page wants
// one.
func (v *visit) runLoggedIn(ctx context.Context) error {
	c := v.stage.cfg.OnAuthError
	if c == nil {
		return v.run(ctx, v.stage.cfg.Steps)
	}
	key := ""
	if c.Key != nil {
		var err error
		if key, err = sessionKey(c.Key, v.item); err != nil {
			return err
		}
	}
	l := v.stage.logins.of(key)
	seen, cookies := l.current()
	if err := v.logIn(ctx, cookies); err != nil {
		return err
	}
	err := v.run(ctx, v.stage.cfg.Steps)
	if !v.wantsLogin(err) {
		return err
	}
	cookies, err = l.renew(ctx, seen, func() ([]cdp.Cookie, error) { return v.renewLogin(ctx) })
	if err != nil {
		return err
	}
	if err := v.logIn(ctx, cookies); err != nil {
		return err
	}
	if err = v.run(ctx, v.stage.cfg.Steps); !v.wantsLogin(err) {
		return err
	}
	v.session.Poison()
	failed := &pipeline.Error{Kind: pipeline.Retry, Code: "login-refused", Err: errors.New("the page wants a login right after the steps of onAuthError logged in")}
	if err != nil {
		failed.Err = errors.Join(failed.Err, err)
	}
	return failed
}

// wantsLogin reports whether steps that ended with err want a login. A page that
// is gone wants none.
func (v *visit) wantsLogin(err error) bool {
	return v.session.Err() == nil && v.stage.cfg.OnAuthError.wanted(v.session.Page(), err)
}

// logIn gives the session the cookies of a login.
func (v *visit) logIn(ctx context.Context, cookies []cdp.Cookie) error {
	if len(cookies) == 0 {
		return nil
	}
	if err := v.session.SetCookies(ctx, cookies); err != nil {
		kind, code, hint := classify(err)
		return &pipeline.Error{Kind: kind, Code: code, Hint: hint, Err: err}
	}
	return nil
}

// renewLogin runs the steps that log in and returns the cookies they got.
func (v *visit) renewLogin(ctx context.Context) ([]cdp.Cookie, error) {
	if err := v.run(ctx, v.stage.cfg.OnAuthError.Run); err != nil {
		return nil, err
	}
	cookies, err := v.session.Cookies(ctx)
	if err != nil {
		kind, code, hint := classify(err)
		return nil, &pipeline.Error{Kind: kind, Code: code, Hint: hint, Err: err}
	}
	return cookies, nil
}

// maxLogins bounds the logins that are remembered; beyond it one that nobody
// renews at the moment is forgotten and would be made again.
const maxLogins = 10_000

// logins are the logins of a stage by key. Its zero value is ready.
type logins struct {
	mu    sync.Mutex
	byKey map[string]*login
}

func (l *logins) of(key string) *login {
	l.mu.Lock()
	defer l.mu.Unlock()
	found := l.byKey[key]
	if found == nil {
		if l.byKey == nil {
			l.byKey = map[string]*login{}
		}
		for name, old := range l.byKey {
			if len(l.byKey) < maxLogins {
				break
			}
			if !old.underWay() {
				delete(l.byKey, name)
			}
		}
		found = &login{}
		l.byKey[key] = found
	}
	return found
}

// login is one login: its cookies and who renews them.
type login struct {
	mu       sync.Mutex
	count    int // successful renewals
	cookies  []cdp.Cookie
	renewing chan struct{} // closed at the end of the renewal under way
	err      error         // of the last renewal
}

func (l *login) underWay() bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.renewing != nil
}

func (l *login) current() (count int, cookies []cdp.Cookie) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.count, l.cookies
}

// renew returns cookies newer than those of the renewal seen. It runs run unless
// somebody else is at it, whose result is then waited for. A failure is shared by
// those who waited, except when the one who failed was only cancelled or lost its
// browser.
func (l *login) renew(ctx context.Context, seen int, run func() ([]cdp.Cookie, error)) ([]cdp.Cookie, error) {
	for {
		l.mu.Lock()
		if l.count > seen {
			defer l.mu.Unlock()
			return l.cookies, nil
		}
		if l.renewing == nil {
			break
		}
		renewing := l.renewing
		l.mu.Unlock()
		select {
		case <-renewing:
		case <-ctx.Done():
			return nil, ctx.Err()
		}
		l.mu.Lock()
		err := l.err
		l.mu.Unlock()
		if kind := pipeline.KindOf(err); err != nil && kind != pipeline.Cancelled && kind != pipeline.Unavailable {
			return nil, err // shared, so nobody changes it (hinted)
		}
	}
	done := make(chan struct{})
	l.renewing = done
	l.mu.Unlock()
	cookies, err := run()
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.renewing, l.err = nil, err; err == nil {
		l.cookies = cookies
		l.count++
	}
	close(done)
	return cookies, err
}
