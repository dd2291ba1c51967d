// Command lab is a kernel for tests: each record is an order that says what to
// do, "order argument".
package main

import (
	"bytes"
	"errors"
	"os"
	"strconv"
	"strings"
	"time"

	kernel "github.com/waybill-dev/waybill/plugins/sdk/go"
)

func init() { kernel.Serve(newLab) }

func main() {}

type config struct{ prefix string }

// newLab reads {} and {"prefix":"..."} by hand: encoding/json would double the
// module, which every test run compiles.
func newLab(with []byte) (kernel.Handler, error) {
	var c config
	if s := string(with); s != "{}" {
		prefix, found := strings.CutPrefix(s, `{"prefix":"`)
		if c.prefix, found = strings.CutSuffix(prefix, `"}`); !found {
			return nil, errors.New("told to refuse")
		}
	}
	return kernel.HandlerFunc(func(r *kernel.Record) error { return c.obey(r) }), nil
}

func (c config) obey(r *kernel.Record) error {
	order, arg, _ := strings.Cut(string(r.Value()), " ")
	switch order {
	case "upper":
		r.Put(append([]byte(c.prefix), bytes.ToUpper([]byte(arg))...))
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
		r.Put([]byte(r.Time().Format(time.RFC3339Nano) + " " + time.Now().UTC().Format(time.RFC3339Nano) +
			" key=" + string(r.Key()) + " meta=" + string(r.Meta()) +
			" seed=" + strconv.FormatUint(r.Seed(), 10) + " rand=" + strconv.FormatUint(r.Rand().Uint64(), 10)))
	case "sleep":
		before := time.Now()
		time.Sleep(time.Hour)
		r.Put([]byte(time.Since(before).String()))
	case "panic":
		println("about to panic")
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
		if err == nil {
			return errors.New("a file could be read")
		}
		r.Put([]byte(err.Error()))
	default:
		return errors.New("unknown order " + strconv.Quote(order))
	}
	return nil
}
