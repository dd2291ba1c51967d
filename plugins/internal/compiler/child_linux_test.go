package compiler

import (
	"context"
	"errors"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

func leadsItsGroup() bool { return syscall.Getpgrp() == os.Getpid() }

// inherited lists the open files that an exec passes on.
func inherited() string {
	var open []string
	files, err := os.ReadDir("/proc/self/fd")
	if err != nil {
		return err.Error()
	}
	for _, f := range files {
		fd, err := strconv.Atoi(f.Name())
		if err != nil {
			return err.Error()
		}
		if flags, err := unix.FcntlInt(uintptr(fd), unix.F_GETFD, 0); err == nil && flags&unix.FD_CLOEXEC == 0 {
			open = append(open, f.Name())
		}
	}
	return strings.Join(open, " ")
}

// folder makes a folder whose name chooses the child.
func folder(t *testing.T, name string) string {
	t.Helper()
	dir := filepath.Join(t.TempDir(), name)
	if err := os.Mkdir(dir, 0o700); err != nil {
		t.Fatal(err)
	}
	return dir
}

func TestChildHasNothingButItsOrder(t *testing.T) {
	t.Setenv("SECRET", "x")
	leak, err := syscall.Dup(1) // as C code opens files: an exec passes it on
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = syscall.Close(leak) }()
	if here := inherited(); here == "0 1 2" {
		t.Fatalf("files %s: nothing to inherit", here)
	}
	refusal(t, compileApart(t.Context(), Job{}, folder(t, "inspect")), "environment 1, files 0 1 2, folder inspect, group true")
}

func TestChildIsConfined(t *testing.T) {
	limits := Limits{Time: time.Minute, Memory: 128 << 20}
	refusal(t, compileApart(t.Context(), Job{Limits: limits}, folder(t, "eat")), "within 1m0s and 128MiB of memory: ran out of memory")
	refusal(t, compileApart(t.Context(), Job{Limits: limits}, folder(t, "spin")), "signal: killed")
}

func TestChildThatCrashesIsNotTheModulesFault(t *testing.T) {
	err := compileApart(t.Context(), Job{}, folder(t, "crash"))
	var r *Refusal
	if err == nil || errors.As(err, &r) || !strings.Contains(err.Error(), "panic: a bug") {
		t.Errorf("got %v", err)
	}
}

// hanging starts a hanging child and returns when it runs; gone blocks until it
// does not any more.
func hanging(t *testing.T, start func(folder string)) (gone func()) {
	t.Helper()
	dir := folder(t, "hang")
	pipe := filepath.Join(dir, "pipe")
	if err := syscall.Mkfifo(pipe, 0o600); err != nil {
		t.Fatal(err)
	}
	start(dir)
	f, err := os.Open(pipe) // returns when the child opens its end
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = f.Close() })
	if _, err := io.ReadFull(f, make([]byte, len("running"))); err != nil {
		t.Fatal(err)
	}
	return func() {
		if n, err := f.Read(make([]byte, 1)); n != 0 || err != io.EOF {
			t.Errorf("read %d, %v", n, err)
		}
	}
}

func TestChildEndsAtTheDeadline(t *testing.T) {
	done := make(chan error, 1)
	gone := hanging(t, func(dir string) {
		go func() {
			done <- compileApart(t.Context(), Job{Limits: Limits{Time: time.Second, Memory: 1 << 30}}, dir)
		}()
	})
	gone()
	refusal(t, <-done, "does not compile within 1s and 1GiB of memory: ran out of time")
}

func TestChildEndsWithTheContext(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan error, 1)
	gone := hanging(t, func(dir string) { go func() { done <- compileApart(ctx, Job{}, dir) }() })
	cancel()
	gone()
	if err := <-done; !errors.Is(err, context.Canceled) {
		t.Errorf("got %v", err)
	}
}

// TestChildEndsWithItsParent kills a parent as kill -9 does.
func TestChildEndsWithItsParent(t *testing.T) {
	program, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command(program)
	gone := hanging(t, func(dir string) {
		cmd.Env = append(os.Environ(), envParent+"="+dir)
		if err := cmd.Start(); err != nil {
			t.Fatal(err)
		}
	})
	if err := cmd.Process.Kill(); err != nil {
		t.Fatal(err)
	}
	gone()
	if err := cmd.Wait(); err == nil {
		t.Error("the parent ended well")
	}
}
