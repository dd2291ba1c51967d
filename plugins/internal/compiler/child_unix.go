//go:build unix && !linux

package compiler

import (
	"fmt"
	"math"
	"os"
	"os/exec"
	"syscall"
)

func self() (string, error) { return os.Executable() }

// apart puts a command into a process group of its own that is killed as a whole.
func apart(cmd *exec.Cmd) {
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	cmd.Cancel = func() error { return syscall.Kill(-cmd.Process.Pid, syscall.SIGKILL) }
}

// confine limits CPU time, which also ends a child whose parent has died. Memory
// has no limit that works alike on these systems: there it is what the collector
// is told, and the deadline ends a child that collects for ever.
func confine(l Limits) error {
	seconds := uint64(max(1, math.Ceil((2 * l.Time).Seconds())))
	if err := setLimit(syscall.RLIMIT_CPU, seconds); err != nil {
		return fmt.Errorf("RLIMIT_CPU: %w", err)
	}
	if err := setLimit(syscall.RLIMIT_CORE, 0); err != nil {
		return fmt.Errorf("RLIMIT_CORE: %w", err)
	}
	return nil
}
