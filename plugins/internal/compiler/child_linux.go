package compiler

import (
	"bytes"
	"fmt"
	"math"
	"os"
	"os/exec"
	"strconv"
	"syscall"

	"golang.org/x/sys/unix"
)

// self is the running program even if its file was replaced since it started: a
// newer one might not compile for this one.
func self() (string, error) {
	const link = "/proc/self/exe"
	if _, err := os.Stat(link); err == nil {
		return link, nil
	}
	return os.Executable()
}

// apart puts a command into a process group of its own that is killed as a
// whole, and makes it die with this process.
func apart(cmd *exec.Cmd) {
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true, Pdeathsig: syscall.SIGKILL}
	cmd.Cancel = func() error { return syscall.Kill(-cmd.Process.Pid, syscall.SIGKILL) }
}

// shut closes what the parent's own parents left open: files without the flag
// close-on-exec, which Go gives to everything that it opens.
func shut() error {
	const dir = "/proc/self/fd"
	open, err := os.ReadDir(dir)
	if err != nil {
		return err
	}
	for _, e := range open {
		fd, err := strconv.Atoi(e.Name())
		if err != nil || fd <= syscall.Stderr {
			continue
		}
		if flags, err := unix.FcntlInt(uintptr(fd), unix.F_GETFD, 0); err == nil && flags&unix.FD_CLOEXEC == 0 {
			_ = unix.Close(fd) // nothing was written to it
		}
	}
	return nil
}

// confine limits this process for good, and closes the files that are not its own. RLIMIT_DATA counts what may be written
// to (since Linux 4.7) and not mere address space, of which Go reserves plenty;
// what the process has by now does not count.
func confine(l Limits) error {
	if err := shut(); err != nil {
		return err
	}
	now, err := dataSize()
	if err != nil {
		return err
	}
	seconds := uint64(math.Ceil((2 * l.Time).Seconds()))
	for _, limit := range []struct {
		name     string
		resource int
		value    uint64
	}{
		{"RLIMIT_DATA", syscall.RLIMIT_DATA, now + l.Memory},
		{"RLIMIT_CPU", syscall.RLIMIT_CPU, max(1, seconds)},
		{"RLIMIT_CORE", syscall.RLIMIT_CORE, 0},
	} {
		// Soft and hard at once: the kernel then kills, where Go would ignore SIGXCPU.
		if err := syscall.Setrlimit(limit.resource, &syscall.Rlimit{Cur: limit.value, Max: limit.value}); err != nil {
			return fmt.Errorf("%s: %w", limit.name, err)
		}
	}
	return nil
}

// dataSize is what RLIMIT_DATA counts, from /proc/self/statm (proc(5)).
func dataSize() (uint64, error) {
	const file, column = "/proc/self/statm", 5
	text, err := os.ReadFile(file)
	if err != nil {
		return 0, err
	}
	fields := bytes.Fields(text)
	if len(fields) <= column {
		return 0, fmt.Errorf("%s: %q", file, text)
	}
	pages, err := strconv.ParseUint(string(fields[column]), 10, 64)
	return pages * uint64(os.Getpagesize()), err
}
