package durable

import (
	"os"

	"golang.org/x/sys/unix"
)

// syncTogether flushes the whole file system that f is on (syncfs), errors of
// earlier writebacks included (Linux 5.8 and later).
func syncTogether(f *os.File) (done bool, err error) {
	for {
		err := unix.Syncfs(int(f.Fd()))
		if err != unix.EINTR {
			return true, os.NewSyscallError("syncfs", err)
		}
	}
}
