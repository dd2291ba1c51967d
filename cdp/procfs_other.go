//go:build unix && !linux

package cdp

import "syscall"

// Without /proc nothing about another process can be proven, so Sweep removes
// folders of dead owners but kills nothing, and the sandbox is not inspected.

func sysProcAttr() *syscall.SysProcAttr { return &syscall.SysProcAttr{Setpgid: true} }

// reap waits for the leader's end and kills what is left of its group.
func (c *chrome) reap() {
	err := c.cmd.Wait()
	c.mu.Lock()
	defer c.mu.Unlock()
	_ = syscall.Kill(-c.cmd.Process.Pid, syscall.SIGKILL)
	c.err, c.reaped = err, true
}

type procStat struct {
	state byte
	group int
	start string
}

func readStat(pid int) (procStat, bool) {
	return procStat{}, syscall.Kill(pid, 0) == nil
}

func groupMembers(int) []int        { return nil }
func inheritedEnv(int, string) bool { return false }
func bootID() string                { return "" }

func groupMemory(int) int64 { return 0 }
func hostMemory() int64     { return 0 }

type renderer struct {
	pid          int
	uid, seccomp string
}

func renderers(int) []renderer { return nil }
