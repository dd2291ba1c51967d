package oci

import (
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"time"

	"oras.land/oras-go/v2/registry/remote/auth"
	"oras.land/oras-go/v2/registry/remote/credentials"
	"oras.land/oras-go/v2/registry/remote/errcode"
	"oras.land/oras-go/v2/registry/remote/retry"

	"github.com/waybill-dev/waybill/pipeline"
)

// Codes of failures of registries.
const (
	CodeMissing  = "kernel-missing"  // there is no such artifact
	CodeRegistry = "kernel-registry" // a registry cannot be reached or refuses
)

// Client talks to registries with the credentials of the user's Docker
// configuration. TLS is verified; only with this machine itself (localhost, a
// loopback address) it speaks plain HTTP. Requests that may succeed later are
// repeated some times.
type Client struct {
	http     *auth.Client
	idle     func()
	progress io.Writer
}

// patience is how long a registry may take to begin an answer.
const patience = 30 * time.Second

// NewClient makes a client; progress, unless it is nil, takes lines about what
// takes long. Close frees its connections.
func NewClient(progress io.Writer) (*Client, error) {
	transport := http.DefaultTransport.(*http.Transport).Clone()
	transport.ResponseHeaderTimeout = patience
	client := &auth.Client{
		Client: &http.Client{Transport: retry.NewTransport(guard{transport})},
		Cache:  auth.NewCache(),
		Header: http.Header{"User-Agent": {"waybill"}},
	}
	credential, err := dockerCredentials()
	if err != nil {
		return nil, err
	}
	client.Credential = credential
	if progress == nil {
		progress = io.Discard
	}
	return &Client{client, transport.CloseIdleConnections, progress}, nil
}

// dockerCredentials reads $DOCKER_CONFIG/config.json or ~/.docker/config.json,
// and asks the helpers that it names.
func dockerCredentials() (auth.CredentialFunc, error) {
	store, err := credentials.NewStoreFromDocker(credentials.StoreOptions{})
	if err != nil {
		return nil, pipeline.Fail(CodeRegistry, "the Docker configuration with the registries' credentials cannot be read: %w", err).
			WithHint("correct it, or set DOCKER_CONFIG to the folder of another one")
	}
	return credentials.Credential(store), nil
}

// Close frees the connections.
func (c *Client) Close() { c.idle() }

// guard refuses to speak without TLS to any other machine, wherever the address
// comes from: a redirect, or the token service that a registry names.
type guard struct{ next http.RoundTripper }

var errPlain = errors.New("refused: it would go over the network without TLS")

// RoundTrip implements http.RoundTripper.
func (g guard) RoundTrip(r *http.Request) (*http.Response, error) {
	if r.URL.Scheme != "https" && !loopback(r.URL.Host) {
		if r.Body != nil {
			_ = r.Body.Close() // a RoundTripper closes it in any case
		}
		return nil, errPlain
	}
	return g.next.RoundTrip(r)
}

// loopback tells if a host, with or without port, is this machine.
func loopback(host string) bool {
	if h, _, err := net.SplitHostPort(host); err == nil {
		host = h
	}
	ip := net.ParseIP(strings.Trim(host, "[]"))
	return host == "localhost" || ip != nil && ip.IsLoopback()
}

// unreachable is the failure of a request that got no answer from the registry.
func unreachable(ref Reference, err error) error {
	var answer *errcode.ErrorResponse
	switch {
	case errors.Is(err, auth.ErrBasicCredentialNotFound):
		return refusal(ref, http.StatusUnauthorized)
	case errors.As(err, &answer): // of the service that gives out tokens
		return refusal(ref, answer.StatusCode)
	case errors.Is(err, errPlain):
		return pipeline.Fail(CodeRegistry, "%s: %w", ref, err).WithHint("the registry sends its clients to an address without TLS: tell its owner")
	}
	return absent(ref, "did not answer: %w", err).WithHint("is it reachable from here?")
}

// absent is a failure that is not the caller's and may pass.
func absent(ref Reference, format string, args ...any) *pipeline.Error {
	e := pipeline.Fail(CodeRegistry, "%s: the registry "+format, append([]any{ref}, args...)...)
	e.Kind = pipeline.Unavailable
	return e
}

// refusal is the failure of a request that a registry answered with a status
// other than success.
func refusal(ref Reference, status int) error {
	switch status {
	case http.StatusNotFound:
		return pipeline.Fail(CodeMissing, "%s: the registry has no such artifact", ref).WithHint("correct the reference, or push it")
	case http.StatusUnauthorized, http.StatusForbidden:
		return pipeline.Fail(CodeRegistry, "%s: the registry refuses: %s", ref, text(status)).
			WithHint("log in with docker login %s, or ask for access", ref.ref.Registry)
	}
	if status >= http.StatusInternalServerError || status == http.StatusTooManyRequests {
		return absent(ref, "answers %s", text(status))
	}
	return pipeline.Fail(CodeRegistry, "%s: the registry answers %s", ref, text(status))
}

func text(status int) string {
	return strings.TrimSpace(fmt.Sprintf("%d %s", status, http.StatusText(status)))
}
