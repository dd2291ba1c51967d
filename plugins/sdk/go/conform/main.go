// Command conform is the conformance kernel: the same small kernel exists in
// every language that has an SDK, and gives the same bytes on the vectors
// (spec/vectors/kernel/conform.json). The first byte of the value is an order.
package main

import (
	"bytes"
	"errors"
	"strconv"

	kernel "github.com/waybill-dev/waybill/plugins/sdk/go"
)

func init() { kernel.Serve(newConform) }

func main() {}

// conform keeps its buffer from record to record, so that it allocates nothing.
type conform struct {
	prefix string
	buf    []byte
}

// newConform knows one key, prefix, which stands before every upper-cased value.
func newConform(config []byte) (kernel.Handler, error) {
	keys, err := kernel.Strings(config)
	if err != nil {
		return nil, err
	}
	for key := range keys {
		if key != "prefix" {
			return nil, errors.New("unknown key " + strconv.Quote(key))
		}
	}
	return &conform{prefix: keys["prefix"]}, nil
}

// counted is the counter of the order "+".
const counted = 1

// Handle obeys the order that the value begins with.
func (c *conform) Handle(r *kernel.Record) error {
	value := r.Value()
	if len(value) == 0 {
		return nil
	}
	rest := value[1:]
	switch value[0] {
	case '#':
		r.Keep()
	case '=':
		r.Slice(1, len(value))
	case '!':
		return errors.New("refused: " + string(rest))
	case '?':
		return kernel.Retry(errors.New("later: " + string(rest)))
	case '~':
		return kernel.Skip("skipped: " + string(rest))
	case '@':
		c.report(r)
	case ',':
		c.parts(r, rest)
	case '$':
		panic("as ordered")
	case '+':
		kernel.Log(kernel.Info, string(rest))
		kernel.Count(counted, int64(len(rest)))
		r.Keep()
	default:
		c.upper(r, value)
	}
	return nil
}

// report answers with everything that the record has besides its value.
func (c *conform) report(r *kernel.Record) {
	b := append(append(c.buf[:0], "key="...), r.Key()...)
	b = append(append(b, " meta="...), r.Meta()...)
	b = strconv.AppendUint(append(b, " time="...), r.TimeNanos(), 10)
	b = strconv.AppendUint(append(b, " seed="...), r.Seed(), 10)
	b = strconv.AppendUint(append(b, " rand="...), r.Rand().Uint64(), 10)
	c.buf = b
	r.Put(b)
}

// parts makes one result of each part that is not empty.
func (c *conform) parts(r *kernel.Record, list []byte) {
	for n := 0; len(list) > 0; {
		part, rest, _ := bytes.Cut(list, []byte(","))
		list = rest
		if len(part) == 0 {
			continue
		}
		c.buf = strconv.AppendInt(c.buf[:0], int64(n), 10)
		r.PutKey(c.buf, part)
		n++
	}
}

func (c *conform) upper(r *kernel.Record, value []byte) {
	out := r.PutSize(len(c.prefix) + len(value))
	out = out[copy(out, c.prefix):]
	for i, b := range value {
		if 'a' <= b && b <= 'z' {
			b -= 'a' - 'A'
		}
		out[i] = b
	}
}
