// Command reach is a kernel for tests: it does with its capabilities what each
// record says, "order name [argument]".
package main

import (
	"errors"
	"sort"
	"strconv"
	"strings"

	kernel "github.com/waybill-dev/waybill/plugins/sdk/go"
)

func init() {
	kernel.Serve(func([]byte) (kernel.Handler, error) { return kernel.HandlerFunc(obey), nil })
}

func main() {}

func obey(r *kernel.Record) error {
	words := strings.SplitN(string(r.Value()), " ", 3)
	order, name, arg := words[0], words[1], strings.Join(words[2:], "")
	var out []byte
	var err error
	switch order {
	case "http":
		out, err = fetch(name, arg)
	case "blob":
		out, err = kernel.Blob(name)
	case "secret":
		var s string
		s, err = kernel.Secret(name)
		out = []byte(s)
	case "get":
		out, err = kernel.State(name)
	case "put":
		err = kernel.PutState(name, []byte(arg))
	default:
		err = errors.New("no such order")
	}
	if err != nil {
		return err
	}
	r.Put(out)
	return nil
}

func fetch(url, body string) ([]byte, error) {
	r, err := kernel.HTTP(kernel.Request{Method: "POST", URL: url, Credential: "api", Headers: map[string]string{"X-Asked": "\"yes\""}, Body: []byte(body)})
	if err != nil {
		return nil, err
	}
	var names []string
	for name := range r.Headers {
		if strings.HasPrefix(name, "x-") {
			names = append(names, name+"="+r.Headers[name])
		}
	}
	sort.Strings(names)
	return append([]byte(strconv.Itoa(r.Status)+" "+strings.Join(names, ",")+" "), r.Body...), nil
}
