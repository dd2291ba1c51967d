package nats_test

import (
	"bytes"
	"crypto/tls"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/nats-io/nats-server/v2/server"
	"github.com/nats-io/nkeys"
	"github.com/waybill-dev/waybill/internal/nettest"
	"github.com/waybill-dev/waybill/pipeline"
	"github.com/waybill-dev/waybill/stages/claim/nats"
)

// TestTLSAndPassword: a server that wants both gets both, from the URL and from
// files beside the pipeline; without them the error says what is missing and
// keeps the password to itself.
func TestTLSAndPassword(t *testing.T) {
	dir := t.TempDir()
	cert, public, _ := nettest.Certificate(t)
	if err := os.WriteFile(filepath.Join(dir, "ca.pem"), public, 0o600); err != nil {
		t.Fatal(err)
	}
	s := runServer(t, &server.Options{ServerName: "test", Host: "127.0.0.1", Port: server.RANDOM_PORT, NoSigs: true, NoLog: true, JetStream: true,
		StoreDir: t.TempDir(), SyncAlways: true, MaxPayload: 2 << 20, Username: "me", Password: "secret", TLS: true, TLSTimeout: 5,
		TLSConfig: &tls.Config{Certificates: []tls.Certificate{cert}}})
	host := s.Addr().String()
	q, err := open(nats.Driver(), "nats://me:secret@"+host+"?tls=1&ca=ca.pem", pipeline.QueueOptions{Create: true, Dir: dir})
	if err != nil {
		t.Fatal(err)
	}
	defer q.Close()
	mustEnqueue(t, q, pipeline.NewItem{ID: "a"})
	if _, err := q.Show(t.Context(), "b"); err == nil || strings.Contains(err.Error(), "secret") {
		t.Errorf("error %v, want one without the password", err)
	}
	_, err = open(nats.Driver(), "nats://me:wrong@"+host+"?tls=1&ca=ca.pem", pipeline.QueueOptions{Dir: dir})
	if pipeline.CodeOf(err) != "not-authorized" || strings.Contains(err.Error(), "wrong") {
		t.Errorf("a wrong password: %v, want not-authorized", err)
	}
	if _, err := open(nats.Driver(), "nats://me:secret@"+host+"?tls=1", pipeline.QueueOptions{}); err == nil {
		t.Error("a certificate that nobody vouches for was accepted")
	}
	if _, err := open(nats.Driver(), "nats://me:secret@"+host+"?ca=absent.pem", pipeline.QueueOptions{Dir: dir}); err == nil {
		t.Error("a missing file was ignored")
	}
}

// TestSecretsStaySecret: whatever goes wrong, neither the error nor the log has
// the password, the token or the seed.
func TestSecretsStaySecret(t *testing.T) {
	t.Parallel()
	user, err := nkeys.CreateUser()
	if err != nil {
		t.Fatal(err)
	}
	seed, err := user.Seed()
	if err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	for name, text := range map[string][]byte{"user.nk": seed, "odd.nk": append([]byte("SU"), seed[:20]...), "user.creds": append([]byte("-----BEGIN USER NKEY SEED-----\n"), seed...)} {
		if err := os.WriteFile(filepath.Join(dir, name), text, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	s := runServer(t, &server.Options{ServerName: "test", Host: "127.0.0.1", Port: server.RANDOM_PORT, NoSigs: true, NoLog: true, JetStream: true,
		StoreDir: t.TempDir(), MaxPayload: 1 << 20, Username: "me", Password: "sesame"})
	host := s.Addr().String() // its small payload is worth a line in the log
	p := newProxy(t, host)
	var log bytes.Buffer
	var said []error
	options := pipeline.QueueOptions{Create: true, Dir: dir, Log: slog.New(slog.NewTextHandler(&log, &slog.HandlerOptions{Level: slog.LevelDebug}))}
	for url, code := range map[string]string{
		"nats://me:sesame0@" + host:                   "not-authorized",
		"nats://" + host + "?nkey=user.nk":            "not-authorized",
		"nats://" + host + "?nkey=odd.nk":             "bad-credentials",
		"nats://" + host + "?creds=user.creds":        "not-authorized",
		"nats://" + host + "?creds=absent.creds":      "bad-credentials",
		"nats://sesame@127.0.0.1:1":                   "queue-unreachable",
		"nats://me:sesame@" + host + "/sesame":        "bad-url",
		"nats://me:sesame@" + host + "?replicas=9":    "bad-url",
		"nats://me:sesame@" + host + "?pass=1&x=%zz":  "bad-url",
		"nats://me:ses%ame@" + host:                   "bad-url",
		"nats://me:sesame@" + host + "?ca=absent.pem": "bad-credentials",
	} {
		_, err := open(nats.Driver(), url, options)
		if said = append(said, err); pipeline.CodeOf(err) != code {
			t.Errorf("%s: error %v, want %s", url, err, code)
		}
	}
	q, err := open(nats.Driver(), "nats://me:sesame@"+p.addr(), options)
	if err != nil {
		t.Fatal(err)
	}
	p.cutAfter(200)
	mustEnqueue(t, q, pipeline.NewItem{ID: "a"})
	_, err = q.Enqueue(t.Context(), []pipeline.NewItem{{ID: "a"}})
	_, absent := q.Show(t.Context(), "b")
	_, queue := open(nats.Driver(), "nats://me:sesame@"+p.addr(), pipeline.QueueOptions{Queue: "absent"})
	said = append(said, err, absent, queue)
	if err := q.Close(); err != nil {
		t.Fatal(err)
	}
	_, _, err = q.Pending(t.Context())
	for _, err := range append(said, err) {
		text := fmt.Sprintf("%+v %#v", err, err)
		var typed *pipeline.Error
		if errors.As(err, &typed) {
			text += typed.Hint
		}
		if err == nil || strings.Contains(text, "sesame") || strings.Contains(text, string(seed[:20])) {
			t.Errorf("want an error without secrets: %v", err)
		}
	}
	if text := log.String(); text == "" || strings.Contains(text, "sesame") || strings.Contains(text, string(seed)) {
		t.Errorf("want a log without secrets: %s", text)
	}
}

// TestNkey: the seed stands in a file, never in the URL.
func TestNkey(t *testing.T) {
	user, err := nkeys.CreateUser()
	if err != nil {
		t.Fatal(err)
	}
	public, err := user.PublicKey()
	if err != nil {
		t.Fatal(err)
	}
	seed, err := user.Seed()
	if err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	if err := os.WriteFile(filepath.Join(dir, "user.nk"), seed, 0o600); err != nil {
		t.Fatal(err)
	}
	s := runServer(t, &server.Options{ServerName: "test", Host: "127.0.0.1", Port: server.RANDOM_PORT, NoSigs: true, NoLog: true, JetStream: true,
		StoreDir: t.TempDir(), MaxPayload: 2 << 20, Nkeys: []*server.NkeyUser{{Nkey: public}}})
	url := "nats://" + s.Addr().String()
	mustEnqueue(t, mustOpen(t, url+"?nkey=user.nk", pipeline.QueueOptions{Create: true, Dir: dir}), pipeline.NewItem{ID: "a"})
	if _, err := open(nats.Driver(), url, pipeline.QueueOptions{}); pipeline.CodeOf(err) != "not-authorized" {
		t.Errorf("without the key: %v, want not-authorized", err)
	}
	if _, err := open(nats.Driver(), url+"?nkey=absent.nk", pipeline.QueueOptions{Dir: dir}); pipeline.CodeOf(err) != "bad-credentials" {
		t.Errorf("without the file: %v, want bad-credentials", err)
	}
}

// TestSmallPayload: a server with the default limit takes what fits, and refuses
// the rest before anything is written.
func TestSmallPayload(t *testing.T) {
	s := runServer(t, &server.Options{ServerName: "test", Host: "127.0.0.1", Port: server.RANDOM_PORT, NoSigs: true, NoLog: true, JetStream: true, StoreDir: t.TempDir()})
	q := mustOpen(t, s.ClientURL(), pipeline.QueueOptions{Create: true})
	body := fmt.Appendf(nil, "%q", strings.Repeat("x", pipeline.MaxItemBody-2))
	_, err := q.Enqueue(t.Context(), []pipeline.NewItem{{ID: "small"}, {ID: "large", Body: body}})
	if pipeline.CodeOf(err) != "body-too-large" || !strings.Contains(err.Error(), "max_payload") {
		t.Errorf("error %v, want body-too-large", err)
	}
	if st, err := q.Stats(t.Context()); st.Enqueued != 0 || err != nil {
		t.Errorf("stats %+v, error %v", st, err)
	}
	mustEnqueue(t, q, pipeline.NewItem{Body: body[:0]})
}

// TestNoJetStream: a plain NATS server is not a queue.
func TestNoJetStream(t *testing.T) {
	s := runServer(t, &server.Options{ServerName: "test", Host: "127.0.0.1", Port: server.RANDOM_PORT, NoSigs: true, NoLog: true})
	_, err := open(nats.Driver(), s.ClientURL(), pipeline.QueueOptions{Create: true})
	if pipeline.CodeOf(err) != "no-jetstream" {
		t.Errorf("error %v, want no-jetstream", err)
	}
}
