package cdp_test

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/waybill-dev/waybill/cdp"
	"github.com/waybill-dev/waybill/cdp/cdptest"
	"github.com/waybill-dev/waybill/cdp/egress"
)

// leadingSite serves /to, a page with a link to a target, and /lead, one that
// goes there by itself; both take the target from their query.
func leadingSite(t *testing.T) (url string) {
	t.Helper()
	mux := http.NewServeMux()
	html := func(format string) http.HandlerFunc {
		return func(w http.ResponseWriter, r *http.Request) {
			w.Header().Set("Content-Type", "text/html")
			fmt.Fprintf(w, "<!doctype html>"+format, r.URL.Query().Get("target"))
		}
	}
	mux.HandleFunc("GET /to", html(`<a id=a href="%s">there</a>`))
	mux.HandleFunc("GET /lead", html(`<script>location.replace("%s")</script>`))
	mux.HandleFunc("GET /empty500", func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusInternalServerError) })
	srv := httptest.NewServer(mux)
	t.Cleanup(func() {
		srv.CloseClientConnections()
		srv.Close()
	})
	return srv.URL
}

// A page that a step leads to and that cannot be had fails that step, whatever
// started the navigation, and not the next one.
func TestStepThatLeadsNowhereFails(t *testing.T) {
	url := leadingSite(t)
	hideout, _ := hideout(t)
	target := "http://127.0.0.1:" + hideout + "/"
	host := strings.TrimPrefix(url, "http://")
	s := cdptest.Acquire(t, withEgress(t, egress.Policy{Allow: []string{host}, Private: true}))
	ctx, cancel := context.WithTimeout(t.Context(), 30*time.Second)
	defer cancel()
	click := func() error { return s.Click(ctx, cdp.At("#a"), cdp.Click{}) }
	for _, c := range []struct {
		name, from string
		do         func() error
		code       string // of the proxy; empty: it is no failure
	}{
		{"click", "/to?target=" + target, click, egress.CodeHost},
		{"key", "/to?target=" + target, func() error {
			return errors.Join(s.Focus(ctx, cdp.At("#a")), s.Press(ctx, "Enter"))
		}, egress.CodeHost},
		{"script", "/to", func() error {
			_, err := s.Navigate(ctx, url+"/lead?target="+target)
			return err
		}, egress.CodeHost},
		{"error status", "/to?target=/empty500", click, ""},
		{"after it", "/to?target=/to", click, ""},
	} {
		if _, err := s.Navigate(ctx, url+c.from); err != nil {
			t.Fatal(err)
		}
		err := c.do()
		var nav *cdp.NavigationError
		var refused *egress.Error
		switch {
		case c.code == "" && err != nil:
			t.Errorf("%s: %v", c.name, err)
		case c.code != "" && (!errors.As(err, &nav) || nav.URL != target || !errors.As(err, &refused) || refused.Code != c.code):
			t.Errorf("%s: %v", c.name, err)
		}
	}
	if got := s.Page(); got.URL != url+"/to" || got.Status != 200 {
		t.Errorf("at the end the page is %+v", got)
	}
}
