package egress

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"net"
	"net/url"

	"github.com/waybill-dev/waybill/internal/netpolicy"
)

// Codes of an Error.
const (
	CodeHost        = "host-refused"           // the lists of hosts do not allow it, or the address that it leads to
	CodeAddress     = "address-refused"        // it resolves to an address that is not public
	CodeType        = "type-blocked"           // a type of resource that is not wanted
	CodeBytes       = "network-bytes-exceeded" // the visit's bytes are used up
	CodeRobots      = "robots-refused"         // robots.txt forbids it
	CodeReplay      = "not-in-replay"          // the recording has no such request
	CodeCertificate = "certificate-invalid"    // the origin's certificate does not hold
	CodeUnreachable = "unreachable"            // no connection, or it broke
)

// Error is a request that did not get an answer from its origin.
type Error struct {
	// Code is one of the constants above.
	Code string
	// URL is what was asked for; of a tunnel only the scheme and the host are
	// known.
	URL string
	// Err says why. It names no address that the asker did not name.
	Err error
}

// Error renders reason and URL.
func (e *Error) Error() string { return fmt.Sprintf("%s: %v", e.URL, e.Err) }

// Unwrap returns the reason.
func (e *Error) Unwrap() error { return e.Err }

// Permanent tells whether the same request will fail again.
func (e *Error) Permanent() bool { return e.Code != CodeUnreachable }

// Policy tells whether the policy refused the request; else its origin failed.
func (e *Error) Policy() bool { return e.Code != CodeUnreachable && e.Code != CodeCertificate }

func refuse(code string, u *url.URL, format string, args ...any) *Error {
	return &Error{Code: code, URL: u.Redacted(), Err: fmt.Errorf(format, args...)}
}

// failed says what a failed exchange means. The errors of package net name
// resolvers and addresses, which are none of the page's business.
func failed(u *url.URL, err error) *Error {
	var (
		own      *Error
		dns      *net.DNSError
		cert     *tls.CertificateVerificationError
		unknown  x509.UnknownAuthorityError
		op       *net.OpError
		deadline interface{ Timeout() bool }
	)
	switch {
	case errors.As(err, &own):
		return own
	case errors.Is(err, netpolicy.ErrNotPublic):
		return refuse(CodeAddress, u, "%w", netpolicy.ErrNotPublic)
	case errors.Is(err, netpolicy.ErrDenied):
		return refuse(CodeHost, u, "the pipeline denies the host's address")
	case errors.As(err, &cert), errors.As(err, &unknown):
		return refuse(CodeCertificate, u, "the certificate of the host is not valid: %w", err)
	case errors.As(err, &dns):
		return refuse(CodeUnreachable, u, "the host's name cannot be resolved")
	case errors.Is(err, context.Canceled):
		return refuse(CodeUnreachable, u, "the browser gave up: %w", context.Canceled)
	case errors.As(err, &deadline) && deadline.Timeout():
		return refuse(CodeUnreachable, u, "no answer in time")
	case errors.As(err, &op) && op.Op == "dial":
		return refuse(CodeUnreachable, u, "the connection failed: %w", op.Err)
	}
	return refuse(CodeUnreachable, u, "%w", err)
}
