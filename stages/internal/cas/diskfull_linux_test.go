package cas

import (
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"github.com/waybill-dev/waybill/pipeline"
	"github.com/waybill-dev/waybill/stages/internal/durable"
)

const envTmpfs = "WAYBILL_TEST_TMPFS"

// A full disk is a clear error, and leaves neither half an object nor a temporary
// file. The test needs a disk of its own and makes one in a child process that has
// a mount namespace to itself.
func TestDiskFull(t *testing.T) {
	if dir := os.Getenv(envTmpfs); dir != "" {
		fillDisk(t, dir)
		return
	}
	exe, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	c := exec.Command(exe, "-test.run=^TestDiskFull$", "-test.v")
	c.Env = append(os.Environ(), envTmpfs+"="+t.TempDir())
	c.SysProcAttr = &syscall.SysProcAttr{
		Cloneflags:  syscall.CLONE_NEWUSER | syscall.CLONE_NEWNS,
		UidMappings: []syscall.SysProcIDMap{{HostID: os.Getuid(), Size: 1}},
		GidMappings: []syscall.SysProcIDMap{{HostID: os.Getgid(), Size: 1}},
	}
	out, err := c.CombinedOutput()
	switch {
	case errors.Is(err, syscall.EPERM) || errors.Is(err, syscall.ENOSPC) || strings.Contains(string(out), "cannot mount"):
		t.Skipf("this system does not let us mount a small disk: %v %s", err, out)
	case err != nil || !strings.Contains(string(out), "--- PASS: TestDiskFull"):
		t.Errorf("%v\n%s", err, out)
	}
}

func fillDisk(t *testing.T, dir string) {
	if err := syscall.Mount("tmpfs", dir, "tmpfs", 0, "size=64k"); err != nil {
		t.Fatalf("cannot mount: %v", err)
	}
	o := open(t, "file:.", dir, true)
	small, big := blob("small"), blob(strings.Repeat("x", 100<<10))
	if _, err := o.Put(t.Context(), []pipeline.Blob{small}); err != nil {
		t.Fatal(err)
	}
	_, err := o.Put(t.Context(), []pipeline.Blob{big})
	if pipeline.CodeOf(err) != durable.CodeDiskFull || pipeline.KindOf(err) != pipeline.Unavailable || strings.Contains(err.Error(), "\n") {
		t.Errorf("got %v (%s, %s)", err, pipeline.CodeOf(err), pipeline.KindOf(err))
	}
	objects, _ := filepath.Glob(filepath.Join(dir, "blobs", "sha256", "*"))
	temps, _ := filepath.Glob(filepath.Join(dir, "ingest", "*.tmp"))
	if len(objects) != 1 || len(temps) != 0 {
		t.Errorf("left behind: %v %v", objects, temps)
	}
	if _, err := o.Put(t.Context(), []pipeline.Blob{blob("another")}); err != nil {
		t.Errorf("a small object still has room: %v", err)
	}
}
