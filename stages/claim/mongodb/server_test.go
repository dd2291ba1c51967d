package mongodb_test

import (
	"bufio"
	"crypto/rand"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/waybill-dev/waybill/stages/claim/mongodb"
)

// realServer names a connection string of a real server, with a database that
// the tests may write to. The suite runs against it, too.
const realServer = "WAYBILL_TEST_MONGODB"

// wireServer builds the server of the tests once; its module is of its own.
var wireServer = sync.OnceValues(func() (string, error) {
	dir, err := os.MkdirTemp("", "wiretest")
	if err != nil {
		return "", err
	}
	built.Store(true)
	path := filepath.Join(dir, "wiretest")
	cmd := exec.Command("go", "build", "-o", path, ".")
	cmd.Dir = "wiretest"
	if out, err := cmd.CombinedOutput(); err != nil {
		return "", fmt.Errorf("building wiretest: %w\n%s", err, out)
	}
	return path, nil
})

var built atomic.Bool

// removeServer deletes what wireServer built, if any test has asked for it.
func removeServer() {
	if built.Load() {
		path, _ := wireServer()
		_ = os.RemoveAll(filepath.Dir(path))
	}
}

// serve starts a server and returns its address. It ends with the test, or with
// this process.
func serve(t testing.TB, args ...string) string {
	t.Helper()
	path, err := wireServer()
	if err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command(path, args...)
	cmd.Stderr = os.Stderr
	stdin, err := cmd.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	stdout, err := cmd.StdoutPipe()
	if err == nil {
		err = cmd.Start()
	}
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { stop(stdin, cmd) })
	port, err := bufio.NewReader(stdout).ReadString('\n')
	if err != nil {
		t.Fatalf("the server does not start: %v", err)
	}
	return "127.0.0.1:" + strings.TrimSpace(port)
}

func stop(stdin io.Closer, cmd *exec.Cmd) {
	_ = stdin.Close() // it ends with that
	_ = cmd.Wait()
}

// emptyStore returns the URL of a place with nothing in it.
func emptyStore(t testing.TB, options ...string) string {
	t.Helper()
	url, options := os.Getenv(realServer), append(options, "waybill.prefix="+strings.ToLower(rand.Text())+"_")
	if url == "" {
		return withOptions("mongodb://"+serve(t)+"/jobs", options...)
	}
	url = withOptions(url, options...)
	t.Cleanup(func() { mongodb.DropCollections(t, url) })
	return url
}

func withOptions(url string, options ...string) string {
	for _, o := range options {
		if strings.Contains(url, "?") {
			url += "&" + o
		} else {
			url += "?" + o
		}
	}
	return url
}
