// Command lab is a kernel for tests: each record is an order that says what to
// do, "order argument".
package main

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"strings"
	"time"

	kernel "github.com/waybill-dev/waybill/plugins/sdk/go"
)

func init() { kernel.Serve(kernel.JSON(newLab)) }

func main() {}

type config struct {
	Prefix string `json:"prefix"`
	Refuse bool   `json:"refuse"`
}

func newLab(c config) (kernel.Handler, error) {
	if c.Refuse {
		return nil, errors.New("told to refuse")
	}
	return kernel.HandlerFunc(func(r *kernel.Record) error { return c.obey(r) }), nil
}

func (c config) obey(r *kernel.Record) error {
	order, arg, _ := strings.Cut(string(r.Value()), " ")
	switch order {
	case "upper":
		r.Put(append([]byte(c.Prefix), bytes.ToUpper([]byte(arg))...))
	case "keep":
		r.Keep()
	case "slice":
		r.Slice(len("slice "), len(r.Value()))
	case "drop":
	case "split":
		for _, word := range strings.Fields(arg) {
			r.PutKey([]byte("key-"+word), []byte(word))
		}
	case "fail":
		r.Put([]byte("taken back"))
		return errors.New(arg)
	case "retry":
		return kernel.Retry(errors.New(arg))
	case "skip":
		return kernel.Skip(arg)
	case "world":
		r.Put(fmt.Appendf(nil, "%s %s key=%s meta=%s seed=%d rand=%d", r.Time().Format(time.RFC3339Nano),
			time.Now().UTC().Format(time.RFC3339Nano), r.Key(), r.Meta(), r.Seed(), r.Rand().Uint64()))
	case "sleep":
		before := time.Now()
		time.Sleep(time.Hour)
		r.Put(fmt.Appendf(nil, "%s", time.Since(before)))
	case "panic":
		fmt.Fprintln(os.Stderr, "about to panic")
		var m map[string]int
		m[arg] = 1
	case "loop":
		for {
		}
	case "eat":
		var all [][]byte
		for {
			all = append(all, bytes.Repeat([]byte{1}, 1<<20))
		}
	case "exit":
		os.Exit(7)
	case "big":
		r.Put(make([]byte, 100_000))
	case "log":
		kernel.Log(kernel.Warn, arg)
		kernel.Count(1, 2)
		r.Keep()
	case "files":
		_, err := os.ReadFile("/etc/hostname")
		r.Put(fmt.Append(nil, err))
	default:
		return fmt.Errorf("unknown order %q", order)
	}
	return nil
}
