package oci

import (
	"fmt"
	"io"
)

// step is after how many bytes progress is told; what is smaller takes no time
// worth a word.
const step = 2 << 20

// counting tells how far the reading of r has come.
func (c *Client) counting(r io.Reader, doing string, ref Reference, total int64) io.Reader {
	if total < step {
		return r
	}
	return &counter{Reader: r, to: c.progress, what: fmt.Sprintf("%s %s", doing, ref), total: total, next: step}
}

type counter struct {
	io.Reader
	to                io.Writer
	what              string
	done, next, total int64
}

// Read implements io.Reader.
func (c *counter) Read(p []byte) (int, error) {
	n, err := c.Reader.Read(p)
	c.done += int64(n)
	if c.done >= c.next {
		c.next = c.done - c.done%step + step
		fmt.Fprintf(c.to, "%s: %.1f of %.1f MiB\n", c.what, mebi(c.done), mebi(c.total))
	}
	return n, err
}

func mebi(n int64) float64 { return float64(n) / (1 << 20) }
