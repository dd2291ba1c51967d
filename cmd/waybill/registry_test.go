package main

import (
	"io"
	"log"
	"net/http/httptest"
	"os"
	"strings"

	"github.com/google/go-containerregistry/pkg/registry"
	"github.com/rogpeppe/go-internal/testscript"
)

// startRegistry starts an OCI registry on a loopback address, which stands in
// $REGISTRY from then on; "! registry" stops it.
func startRegistry(ts *testscript.TestScript, stop bool, args []string) {
	if len(args) > 0 {
		ts.Fatalf("usage: [!] registry")
	}
	running := ts.Value(registryKey{}).(**httptest.Server)
	if stop {
		if *running == nil {
			ts.Fatalf("no registry runs")
		}
		(*running).Close()
		return
	}
	server := httptest.NewServer(registry.New(registry.Logger(log.New(io.Discard, "", 0))))
	ts.Defer(server.Close)
	*running = server
	ts.Setenv("REGISTRY", strings.TrimPrefix(server.URL, "http://"))
}

// registryKey finds a story's registry, a **httptest.Server.
type registryKey struct{}

// expand replaces $NAME in files by its value.
func expand(ts *testscript.TestScript, _ bool, files []string) {
	for _, name := range files {
		text := os.Expand(ts.ReadFile(name), ts.Getenv)
		ts.Check(os.WriteFile(ts.MkAbs(name), []byte(text), 0o600))
	}
}
