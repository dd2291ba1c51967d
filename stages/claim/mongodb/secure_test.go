package mongodb_test

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/waybill-dev/waybill/internal/nettest"
	"github.com/waybill-dev/waybill/pipeline"
	"github.com/waybill-dev/waybill/stages/claim/mongodb"
)

func writeFile(t *testing.T, name, text string) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), name)
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

// TestTLS: with the right authority it works; without, the error says why.
func TestTLS(t *testing.T) {
	t.Parallel()
	_, public, both := nettest.Certificate(t)
	pair, ca := writeFile(t, "pair.pem", string(both)), writeFile(t, "ca.pem", string(public))
	url := "mongodb://" + serve(t, "-tls", pair) + "/jobs"
	q := mustOpen(t, withOptions(url, "tls=true", "tlsCAFile="+ca), pipeline.QueueOptions{Create: true})
	enqueue(t, q, pipeline.NewItem{})
	for options, want := range map[string]string{"tls=true": "certificate", "tls=false": "tls=true"} {
		_, err := open(mongodb.Driver(), withOptions(url, options, "serverSelectionTimeoutMS=3000"), pipeline.QueueOptions{})
		if pipeline.CodeOf(err) != "queue-unreachable" || !strings.Contains(err.Error()+hint(err), want) {
			t.Errorf("%s: error %v, hint %q; want %q in it", options, err, hint(err), want)
		}
	}
}

func hint(err error) string {
	if typed, ok := err.(*pipeline.Error); ok {
		return typed.Hint
	}
	return ""
}

// TestPasswordFile: the password is read from the file, and shown nowhere: the
// server knows no users, so the log-in fails.
func TestPasswordFile(t *testing.T) {
	const password = "p@ss/w0rd%41"
	path := writeFile(t, "password", password+"\n")
	url := "mongodb://me@" + serve(t) + "/jobs?waybill.passwordFile=password"
	_, err := open(mongodb.Driver(), url, pipeline.QueueOptions{Dir: filepath.Dir(path)})
	if pipeline.CodeOf(err) != "not-allowed" || strings.Contains(err.Error(), password) {
		t.Errorf("error %v, want not-allowed without the password", err)
	}
	for bad, dir := range map[string]string{url: t.TempDir(), strings.Replace(url, "me@", "", 1): filepath.Dir(path), strings.Replace(url, "me@", "me:too@", 1): filepath.Dir(path)} {
		if _, err := open(mongodb.Driver(), bad, pipeline.QueueOptions{Dir: dir}); pipeline.CodeOf(err) != "bad-credentials" && pipeline.CodeOf(err) != "bad-url" {
			t.Errorf("%s: error %v", bad, err)
		}
	}
}
