package main

import (
	"bytes"
	"encoding/json"
	"fmt"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"sort"
	"strings"

	"github.com/waybill-dev/waybill/examples/capture/site"
)

// fixture is the site of the example while it is served.
type fixture struct {
	addr   string
	pages  []page
	server *http.Server
}

// page is one unit of work. Hosts end in .localhost, which Chrome resolves to
// loopback by itself; they give the lanes something to tell apart.
type page struct {
	id, host, path string
	kind           string // "login" needs a form filled in; others are only read
}

// serve starts the site on a free loopback port.
func serve() (*fixture, error) {
	docs, err := toolchainDocs()
	if err != nil {
		return nil, err
	}
	mux := http.NewServeMux()
	mux.Handle("/doc/", http.StripPrefix("/doc/", http.FileServer(http.Dir(docs))))
	mux.Handle("/", site.Handler())
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return nil, err
	}
	f := &fixture{addr: l.Addr().String(), server: &http.Server{Handler: mux}}
	files, err := filepath.Glob(filepath.Join(docs, "*.html"))
	if err != nil || len(files) == 0 {
		return nil, fmt.Errorf("the toolchain ships no documents in %s: %v", docs, err)
	}
	sort.Strings(files)
	for _, file := range files {
		name := filepath.Base(file)
		f.pages = append(f.pages, page{id: "docs/" + name, host: "docs.localhost", path: "/doc/" + name})
	}
	for _, p := range site.Pages() {
		host, _, _ := strings.Cut(p.Name, "/")
		f.pages = append(f.pages, page{id: p.Name, host: host + ".localhost", path: p.Path, kind: p.Kind})
	}
	go func() { _ = f.server.Serve(l) }()
	return f, nil
}

func (f *fixture) close() { _ = f.server.Close() }

// toolchainDocs returns the folder of HTML documents inside the Go toolchain.
func toolchainDocs() (string, error) {
	out, err := exec.Command("go", "env", "GOROOT").Output()
	if err != nil {
		return "", fmt.Errorf("find the toolchain's documents: go env GOROOT: %w", err)
	}
	return filepath.Join(strings.TrimSpace(string(out)), "doc"), nil
}

// writeItems writes one JSON object per page, as `waybill enqueue` reads them.
func (f *fixture) writeItems(file string) error {
	_, port, err := net.SplitHostPort(f.addr)
	if err != nil {
		return err
	}
	var buf bytes.Buffer
	enc := json.NewEncoder(&buf)
	for _, p := range f.pages {
		item := map[string]any{
			"id":   p.id,
			"body": map[string]string{"url": "http://" + net.JoinHostPort(p.host, port) + p.path},
			"meta": map[string]string{"host": p.host, "kind": p.kind},
		}
		if err := enc.Encode(item); err != nil {
			return err
		}
	}
	return os.WriteFile(file, buf.Bytes(), 0o644)
}
