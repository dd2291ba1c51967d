package mongodb_test

import (
	"crypto/rand"
	"os"
	"strings"
	"testing"

	"github.com/waybill-dev/waybill/internal/mongotest"
	"github.com/waybill-dev/waybill/stages/claim/mongodb"
)

// realServer names a connection string of a real server, with a database that
// the tests may write to. The suite runs against it, too.
const realServer = "WAYBILL_TEST_MONGODB"

var servers mongotest.Servers

// serve starts a server for one test.
func serve(t testing.TB, args ...string) string {
	t.Helper()
	return servers.Serve(t, args...)
}

// emptyStore returns the URL of a place with nothing in it.
func emptyStore(t testing.TB, options ...string) string {
	t.Helper()
	url, options := os.Getenv(realServer), append(options, "waybill.prefix="+strings.ToLower(rand.Text())+"_")
	if url == "" {
		url = "mongodb://" + servers.Shared(t) + "/jobs"
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
