//go:build unix

package plugins

import (
	"syscall"
	"time"
)

// cpuTime is what this process has used so far, which a busy machine does not
// change.
func cpuTime() time.Duration {
	var u syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &u); err != nil {
		return time.Duration(time.Now().UnixNano())
	}
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}
