package execute_test

import (
	"encoding/json"
	"io"
	"log"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"github.com/waybill-dev/waybill/cdp/cdptest"
	"github.com/waybill-dev/waybill/cdp/cdptest/hostile"
	"github.com/waybill-dev/waybill/pipeline"
)

// TestHostileSite visits every page of package hostile and sees that it ends as
// docs/browser.md says, and that a quiet page is well afterwards.
func TestHostileSite(t *testing.T) {
	options := cdptest.Options(t)
	options.Sessions, options.Browsers = 2, 1
	pool := cdptest.Pool(t, options)
	ready := make(chan struct{}, 1)
	plain := serveHostile(t, ready, httptest.NewServer)
	secure := serveHostile(t, ready, httptest.NewTLSServer)
	visitPage := func(t *testing.T, c hostile.Case) error {
		url := plain + c.Path
		if c.Path == "https" {
			url = secure
		}
		first, optional, _ := strings.Cut(c.Timeout, ", ")
		config := "- navigate: " + url + "\n"
		if first != "" {
			config += "  timeout: " + first + "\n"
		}
		if optional != "" {
			config += "  optional: true\n"
		}
		config += strings.ReplaceAll(c.Steps, "URL", plain)
		config = "stepTimeout: 60s\nsteps:\n  " + strings.ReplaceAll(config, "\n", "\n  ")
		return startWith(t, pool, config).Process(t.Context(), visit(url))
	}
	for _, c := range hostile.Cases() {
		t.Run(c.Name, func(t *testing.T) {
			ended := make(chan error, 1)
			go func() { ended <- visitPage(t, c) }()
			if c.Act != "" {
				<-ready
				act(t, c.Act, options.Dir)
			}
			err := <-ended
			if code, kind := pipeline.CodeOf(err), pipeline.KindOf(err).String(); code != c.Code || code != "" && kind != c.Kind {
				t.Errorf("ended as %s, %s: %v", code, kind, err)
			} else if code != "" && !strings.Contains(err.Error(), c.Says) {
				t.Errorf("the error does not say %q: %v", c.Says, err)
			}
		})
	}
	if err := visitPage(t, hostile.Case{Steps: "- extract: { title: h1 }"}); err != nil {
		t.Errorf("a quiet page afterwards: %v", err)
	}
	if st := pool.Stats(); st.Open != 0 || st.Waiting != 0 {
		t.Errorf("sessions left: %+v", st)
	}
}

func serveHostile(t *testing.T, ready chan<- struct{}, start func(http.Handler) *httptest.Server) string {
	srv := start(hostile.Handler(ready))
	srv.Config.ErrorLog = log.New(io.Discard, "", 0) // a refused handshake is no news
	t.Cleanup(func() {
		srv.CloseClientConnections()
		srv.Close()
	})
	return srv.URL
}

// act does something to the one browser whose profile is in dir.
func act(t *testing.T, what hostile.Act, dir string) {
	t.Helper()
	group := browserPID(t, dir)
	switch what {
	case hostile.KillBrowser:
		kill(t, -group, syscall.SIGKILL)
	case hostile.StopBrowser:
		kill(t, -group, syscall.SIGSTOP)
	}
}

func kill(t *testing.T, pid int, signal syscall.Signal) {
	t.Helper()
	if err := syscall.Kill(pid, signal); err != nil {
		t.Errorf("kill %d: %v", pid, err)
	}
}

// browserPID reads which browser uses the only profile in dir.
func browserPID(t *testing.T, dir string) int {
	t.Helper()
	files, err := filepath.Glob(filepath.Join(dir, "browser-*.owner"))
	if err != nil || len(files) != 1 {
		t.Fatalf("profiles: %v, %v", files, err)
	}
	pid := ownerOf(files[0])
	if pid <= 1 {
		t.Fatalf("%s names no browser", files[0])
	}
	return pid
}

// ownerOf reads which browser a profile's lock names; 0: none.
func ownerOf(file string) int {
	raw, _ := os.ReadFile(file)
	var owner struct {
		Browser struct {
			PID int `json:"pid"`
		} `json:"browser"`
	}
	_ = json.Unmarshal(raw, &owner)
	return owner.Browser.PID
}
