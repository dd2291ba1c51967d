package capability

import (
	"context"
	"crypto/tls"
	"errors"
	"net"
	"syscall"

	"github.com/waybill-dev/waybill/internal/netpolicy"
)

// explain makes an Error out of a failed exchange. The errors of package net
// name resolvers, local ports and resolved addresses, which are none of the
// guest's business, so only what kind they are is told.
func explain(ctx context.Context, err error) error {
	var refused *Error
	var dns *net.DNSError
	var cert *tls.CertificateVerificationError
	var number syscall.Errno
	var slow net.Error
	switch {
	case errors.As(err, &refused):
		return refused
	case errors.Is(err, netpolicy.ErrNotPublic):
		return fault(Denied, "%v", netpolicy.ErrNotPublic)
	case context.Cause(ctx) == errTimeout:
		return fault(Failed, "no answer in time")
	case ctx.Err() != nil:
		return ctx.Err()
	case errors.As(err, &dns) && dns.IsNotFound:
		return fault(Failed, "the host's name is not known")
	case errors.As(err, &dns):
		return fault(Failed, "the host's name cannot be resolved")
	case errors.As(err, &cert):
		return fault(Failed, "the host's certificate is not valid")
	case errors.As(err, &number):
		return fault(Failed, "the connection failed: %s", number.Error())
	case errors.As(err, &slow) && slow.Timeout():
		return fault(Failed, "no answer in time")
	}
	return fault(Failed, "the exchange failed")
}
