package egress

import (
	"fmt"
	"io"
	"net/http"
	"net/url"
)

// exceeded says that the visit's bytes are used up.
func (v *visit) exceeded(url string) *Error {
	if url == "" {
		url = "the page"
	}
	return &Error{Code: CodeBytes, URL: url, Err: fmt.Errorf("more than %d bytes went over the network", v.limit)}
}

// headSize is how many bytes a head takes in HTTP/1.1.
func headSize(first string, h http.Header) int {
	n := len(first) + 4
	for name, values := range h {
		for _, v := range values {
			n += len(name) + len(v) + 4
		}
	}
	return n
}

// metered is a body that the lease's visit pays for. The record, which is that of
// the visit that asked, keeps it as long as that visit lasts.
type metered struct {
	io.ReadCloser
	lease   *Lease
	visit   *visit
	url     *url.URL
	rec     *record
	request bool
}

func (m *metered) Read(b []byte) (int, error) {
	n, err := m.ReadCloser.Read(b)
	if e := m.lease.charge(n, m.url.Redacted()); e != nil {
		m.visit.fail(e)
		m.end(false, e)
		return 0, e
	}
	if m.rec != nil && n > 0 && m.lease.current() == m.visit {
		m.rec.keep(m.request, b[:n])
	}
	switch {
	case err == io.EOF:
		m.end(true, nil)
	case err != nil:
		m.end(false, failed(m.url, err))
	}
	return n, err
}

func (m *metered) Close() error {
	m.end(false, &Error{Code: CodeUnreachable, Err: io.ErrUnexpectedEOF})
	return m.ReadCloser.Close()
}

func (m *metered) end(complete bool, e *Error) {
	if m.rec != nil && !m.request {
		m.rec.finish(complete, e)
	}
}

// meteredBoth is the connection of a WebSocket.
type meteredBoth struct {
	*metered
	w meteredWriter
}

func (m *meteredBoth) Write(b []byte) (int, error) { return m.w.Write(b) }

// meteredWriter pays before it writes.
type meteredWriter struct {
	io.Writer
	lease *Lease
}

func (m meteredWriter) Write(b []byte) (int, error) {
	if e := m.lease.charge(len(b), ""); e != nil {
		return 0, e
	}
	return m.Writer.Write(b)
}
