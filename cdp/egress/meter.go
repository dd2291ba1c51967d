package egress

import (
	"fmt"
	"io"
	"net/url"
)

// exceeded says that the visit's bytes are used up.
func (v *visit) exceeded(url string) *Error {
	if url == "" {
		url = "the page"
	}
	return &Error{Code: CodeBytes, URL: url, Err: fmt.Errorf("more than %d bytes went over the network", v.limit)}
}

// metered is a body that the visit pays for and that the record keeps.
type metered struct {
	io.ReadCloser
	visit   *visit
	url     *url.URL
	rec     *record
	request bool
}

func (m *metered) Read(b []byte) (int, error) {
	n, err := m.ReadCloser.Read(b)
	if m.rec != nil && n > 0 {
		m.rec.keep(m.request, b[:n])
	}
	if !m.visit.charge(n) {
		e := m.visit.exceeded(m.url.Redacted())
		m.visit.fail(e)
		m.end(false, e)
		return 0, e
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
	visit *visit
}

func (m meteredWriter) Write(b []byte) (int, error) {
	if !m.visit.charge(len(b)) {
		return 0, m.visit.exceeded("")
	}
	return m.Writer.Write(b)
}
