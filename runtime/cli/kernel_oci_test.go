package cli

import (
	"context"
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/waybill-dev/waybill/pipeline"
)

// fakeRegistry has the tools that talk to registries.
type fakeRegistry struct {
	pipeline.KernelTools
	asked  pipeline.KernelTransfer
	lockOf pipeline.KernelLock
	locked pipeline.KernelLocked
	err    error
}

func (f *fakeRegistry) Languages() []string { return nil }

func (f *fakeRegistry) transfer(r pipeline.KernelTransfer) (pipeline.KernelArtifact, error) {
	f.asked = r
	return pipeline.KernelArtifact{Ref: r.Ref, Pinned: "oci://r.example.com/k@sha256:ab", Manifest: "sha256:ab", Digest: "sha256:cd", Size: 12345, File: r.File}, f.err
}

func (f *fakeRegistry) Push(_ context.Context, r pipeline.KernelTransfer) (pipeline.KernelArtifact, error) {
	return f.transfer(r)
}

func (f *fakeRegistry) Pull(_ context.Context, r pipeline.KernelTransfer) (pipeline.KernelArtifact, error) {
	return f.transfer(r)
}

func (f *fakeRegistry) Lock(_ context.Context, r pipeline.KernelLock) (pipeline.KernelLocked, error) {
	f.lockOf = r
	return f.locked, f.err
}

func TestKernelPushAndPull(t *testing.T) {
	t.Setenv("WAYBILL_CACHE", t.TempDir())
	f := new(fakeRegistry)
	p := Parts{Kernels: f}
	r := run(t, p, "", "kernel", "push", "k.wasm", "oci://r.example.com/k:1")
	if r.code != 0 || f.asked.File != "k.wasm" || f.asked.Ref != "oci://r.example.com/k:1" || f.asked.CacheDir == "" || f.asked.Progress == nil {
		t.Errorf("%+v, asked %+v", r, f.asked)
	}
	if want := "oci://r.example.com/k@sha256:ab\n  module  sha256:cd  12,345 bytes\n  file    k.wasm\n"; r.stdout != want {
		t.Errorf("got %s, want %s", r.stdout, want)
	}
	r = run(t, p, "", "kernel", "pull", "oci://r.example.com/k:1", "-o", "out.wasm", "--json")
	var got pipeline.KernelArtifact
	if err := json.Unmarshal([]byte(r.stdout), &got); err != nil || got.Digest != "sha256:cd" || got.File != "out.wasm" || f.asked.File != "out.wasm" {
		t.Errorf("%+v, %v, asked %+v", r, err, f.asked)
	}
	if r := run(t, p, "", "kernel", "pull", "oci://r.example.com/k:1"); f.asked.File != "" || strings.Contains(r.stdout, "file") {
		t.Errorf("%+v, asked %+v", r, f.asked)
	}
	f.err = pipeline.Fail("kernel-digest", "it was changed").WithHint("do not use it")
	for _, args := range [][]string{{"push", "k.wasm", "oci://r.example.com/k:1"}, {"pull", "oci://r.example.com/k:1"}, {"lock", "p.yaml"}} {
		r := run(t, p, "", append([]string{"kernel"}, args...)...)
		if r.code != exitProblem || r.stderr != "waybill: it was changed (do not use it)\n" || r.stdout != "" {
			t.Errorf("%v: %+v", args, r)
		}
	}
	f.err = context.Canceled
	if r := run(t, p, "", "kernel", "pull", "oci://r.example.com/k:1"); r.code != exitInterrupted {
		t.Errorf("%+v", r)
	}
	for _, args := range [][]string{{"push", "k.wasm"}, {"pull"}, {"lock"}, {"lock", "a.yaml", "b.yaml"}} {
		if r := run(t, p, "", append([]string{"kernel"}, args...)...); r.code != exitProblem {
			t.Errorf("%v: %+v", args, r)
		}
	}
}

func TestKernelLock(t *testing.T) {
	t.Setenv("WAYBILL_CACHE", t.TempDir())
	f := &fakeRegistry{locked: pipeline.KernelLocked{File: "waybill.lock", Pins: []pipeline.KernelPin{
		{Use: "oci://r.example.com/a:1", Manifest: "sha256:01", Digest: "sha256:0123456789abcdef", Size: 1000, Change: pipeline.PinNew},
		{Use: "oci://r.example.com/b:1", Manifest: "sha256:02", Digest: "sha256:02", Size: 2, Change: pipeline.PinMoved, Was: "sha256:03"},
	}}}
	p := Parts{Kernels: f}
	r := run(t, p, "", "kernel", "lock", "p.yaml", "--update")
	if r.code != 0 || f.lockOf.File != "p.yaml" || !f.lockOf.Update || f.lockOf.Set == nil || f.lockOf.CacheDir == "" {
		t.Errorf("%+v, asked %+v", r, f.lockOf)
	}
	want := "new   oci://r.example.com/a:1  0123456789ab, 1,000 bytes\nmoved oci://r.example.com/b:1  02, was 03, 2 bytes\n2 kernels in waybill.lock\n"
	if r.stdout != want {
		t.Errorf("got %s, want %s", r.stdout, want)
	}
	r = run(t, p, "", "kernel", "lock", "p.yaml", "--json")
	var got pipeline.KernelLocked
	if err := json.Unmarshal([]byte(r.stdout), &got); err != nil || len(got.Pins) != 2 || got.Pins[1].Was != "sha256:03" || f.lockOf.Update {
		t.Errorf("%+v, %v", r, err)
	}
	f.err = pipeline.Problems{{Pos: pipeline.Pos{File: "p.yaml", Line: 3, Col: 1}, Code: "unknown-key", Message: "oops"}}
	if r := run(t, p, "", "kernel", "lock", "p.yaml"); r.code != exitProblem || !strings.Contains(r.stderr, "p.yaml:3:1") {
		t.Errorf("%+v", r)
	}
}

// cached is a stage whose check wants to know where it may keep something.
type cached struct{}

func (cached) Validate(v *pipeline.Validation) {
	v.Problem("", "told", "", "%s keeps in %s", v.File, v.CacheDir)
}

func TestChecksMayCache(t *testing.T) {
	cache := t.TempDir()
	t.Setenv("WAYBILL_CACHE", cache)
	file := filepath.Join(t.TempDir(), "p.yaml")
	if err := os.WriteFile(file, []byte("waybill: v1\nname: p\nstages:\n  - cached: {}\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	def := pipeline.Define("cached", "", cached{}, func(context.Context, cached, pipeline.Env) (pipeline.Source, error) { return nil, nil })
	p := Parts{Defs: []pipeline.Def{def}}
	for _, args := range [][]string{{"check", file}, {"plan", file}} {
		if r := run(t, p, "", args...); !strings.Contains(r.stderr, file+" keeps in "+cache) {
			t.Errorf("%v: %+v", args, r)
		}
	}
}
