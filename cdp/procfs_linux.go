package cdp

import (
	"bytes"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"

	"golang.org/x/sys/unix"
)

// sysProcAttr makes Chrome the leader of a process group of its own that dies
// with the thread that started it.
func sysProcAttr() *syscall.SysProcAttr {
	return &syscall.SysProcAttr{Setpgid: true, Pdeathsig: syscall.SIGKILL}
}

// reap waits for the leader's end and collects it; its children must not outlive
// it. Until the leader is collected nobody else can get its number, so the group
// is killed in between.
func (c *chrome) reap() {
	pid := c.cmd.Process.Pid
	for unix.Waitid(unix.P_PID, pid, nil, unix.WEXITED|unix.WNOWAIT, nil) == unix.EINTR {
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	_ = syscall.Kill(-pid, syscall.SIGKILL)
	c.err = c.cmd.Wait()
	c.reaped = true
}

// procStat is what /proc/<pid>/stat says, see proc_pid_stat(5).
type procStat struct {
	state byte
	group int
	start string // clock ticks after boot: tells two users of one pid apart
}

func readStat(pid int) (procStat, bool) {
	raw, err := os.ReadFile(filepath.Join("/proc", strconv.Itoa(pid), "stat"))
	if err != nil {
		return procStat{}, false
	}
	// The command name is in parentheses and may contain anything.
	f := strings.Fields(string(raw[bytes.LastIndexByte(raw, ')')+1:]))
	if len(f) < 20 {
		return procStat{}, false
	}
	group, err := strconv.Atoi(f[2])
	return procStat{state: f[0][0], group: group, start: f[19]}, err == nil
}

// groupMembers returns the living processes of a process group.
func groupMembers(group int) []int {
	entries, err := os.ReadDir("/proc")
	if err != nil {
		return nil
	}
	var pids []int
	for _, e := range entries {
		pid, err := strconv.Atoi(e.Name())
		if err != nil {
			continue
		}
		if st, ok := readStat(pid); ok && st.group == group && st.state != 'Z' && st.state != 'X' {
			pids = append(pids, pid)
		}
	}
	return pids
}

// inheritedEnv reports whether the process was started with this variable.
func inheritedEnv(pid int, variable string) bool {
	raw, err := os.ReadFile(filepath.Join("/proc", strconv.Itoa(pid), "environ"))
	if err != nil {
		return false
	}
	for v := range bytes.SplitSeq(raw, []byte{0}) {
		if string(v) == variable {
			return true
		}
	}
	return false
}

// bootID changes with each start of the machine.
func bootID() string {
	raw, _ := os.ReadFile("/proc/sys/kernel/random/boot_id")
	return strings.TrimSpace(string(raw))
}

// renderer is what the kernel says about the confinement of one renderer.
type renderer struct {
	pid     int
	uid     string
	seccomp string // 2 is a filter, see seccomp(2)
}

// renderers lists the page processes of a browser's group.
func renderers(group int) []renderer {
	var out []renderer
	for _, pid := range groupMembers(group) {
		dir := filepath.Join("/proc", strconv.Itoa(pid))
		cmdline, _ := os.ReadFile(filepath.Join(dir, "cmdline"))
		// Chrome rewrites the command line of its children into one string.
		if !bytes.Contains(cmdline, []byte("--type=renderer")) {
			continue
		}
		status, err := os.ReadFile(filepath.Join(dir, "status"))
		if err != nil {
			continue
		}
		r := renderer{pid: pid}
		for line := range strings.Lines(string(status)) {
			switch name, value, _ := strings.Cut(line, ":"); name {
			case "Uid":
				r.uid = strings.Fields(value)[0]
			case "Seccomp":
				r.seccomp = strings.TrimSpace(value)
			}
		}
		out = append(out, r)
	}
	return out
}

// groupMemory adds up what the processes of a group use, in bytes: the
// proportional set size, which counts what n of them share as an nth each, see
// proc_pid_smaps(5). Where that cannot be read, what a process shares with
// nobody.
func groupMemory(group int) (sum int64) {
	if group <= 1 {
		return 0
	}
	for _, pid := range groupMembers(group) {
		dir := filepath.Join("/proc", strconv.Itoa(pid))
		if raw, err := os.ReadFile(filepath.Join(dir, "smaps_rollup")); err == nil {
			for line := range strings.Lines(string(raw)) {
				if f := strings.Fields(line); len(f) == 3 && f[0] == "Pss:" {
					kib, _ := strconv.ParseInt(f[1], 10, 64)
					sum += kib << 10
				}
			}
			continue
		}
		raw, _ := os.ReadFile(filepath.Join(dir, "statm"))
		if f := strings.Fields(string(raw)); len(f) > 2 {
			resident, _ := strconv.ParseInt(f[1], 10, 64)
			shared, _ := strconv.ParseInt(f[2], 10, 64)
			sum += (resident - shared) * int64(os.Getpagesize())
		}
	}
	return sum
}

// hostMemory is how many bytes we may use: what the control group allows
// (cgroup v2), else what the machine has. 0: not known.
func hostMemory() int64 {
	total := int64(0)
	raw, _ := os.ReadFile("/proc/meminfo")
	for line := range strings.Lines(string(raw)) {
		if f := strings.Fields(line); len(f) == 3 && f[0] == "MemTotal:" {
			kib, _ := strconv.ParseInt(f[1], 10, 64)
			total = kib << 10
		}
	}
	own, _ := os.ReadFile("/proc/self/cgroup")
	for line := range strings.Lines(string(own)) {
		group, ok := strings.CutPrefix(strings.TrimSpace(line), "0::")
		for ; ok && group != "" && group != "."; group = filepath.Dir(group) {
			raw, _ := os.ReadFile(filepath.Join("/sys/fs/cgroup", group, "memory.max"))
			if limit, err := strconv.ParseInt(strings.TrimSpace(string(raw)), 10, 64); err == nil && (total == 0 || limit < total) {
				total = limit
			}
			if group == "/" {
				break
			}
		}
	}
	return total
}
