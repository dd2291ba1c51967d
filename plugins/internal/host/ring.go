package host

// ring keeps the last bytes that were written to it.
type ring struct {
	buf  []byte
	size int
}

// Write never fails and never keeps more than twice the size.
func (r *ring) Write(p []byte) (int, error) {
	n := len(p)
	if n > r.size {
		p = p[n-r.size:]
	}
	if len(r.buf)+len(p) > 2*r.size {
		r.buf = append(r.buf[:0], r.buf[len(r.buf)-min(len(r.buf), r.size):]...)
	}
	r.buf = append(r.buf, p...)
	return n, nil
}

// tail returns the last bytes as text.
func (r *ring) tail() string { return string(r.buf[len(r.buf)-min(len(r.buf), r.size):]) }

func (r *ring) reset() { r.buf = r.buf[:0] }
