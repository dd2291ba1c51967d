package main

import (
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"time"
)

// tick is the unit of CPU times in /proc, see proc_pid_stat(5); 100 a second on
// every Linux.
const tick = 10 * time.Millisecond

// treeCPU is the CPU time of what root started, and what that started, without
// root itself: of living processes and of those that they waited for. Processes
// whose command line holds without are left out.
func treeCPU(root int, without string) (sum time.Duration) {
	type process struct {
		parent int
		cpu    time.Duration
	}
	all := map[int]process{}
	files, _ := filepath.Glob("/proc/[0-9]*/stat")
	for _, file := range files {
		raw, _ := os.ReadFile(file)
		f := strings.Fields(string(raw[strings.LastIndexByte(string(raw), ')')+1:]))
		if len(f) < 15 {
			continue
		}
		pid, _ := strconv.Atoi(filepath.Base(filepath.Dir(file)))
		parent, _ := strconv.Atoi(f[1])
		ticks := 0
		for _, field := range f[11:15] { // utime, stime, cutime, cstime
			n, _ := strconv.Atoi(field)
			ticks += n
		}
		all[pid] = process{parent, time.Duration(ticks) * tick}
	}
	for pid, p := range all {
		if pid != root && descends(pid, root, func(pid int) int { return all[pid].parent }) && !commandHas(pid, without) {
			sum += p.cpu
		}
	}
	return sum
}

func descends(pid, root int, parent func(int) int) bool {
	for range 20 {
		if pid = parent(pid); pid == root {
			return true
		}
	}
	return false
}

func commandHas(pid int, text string) bool {
	raw, _ := os.ReadFile(filepath.Join("/proc", strconv.Itoa(pid), "environ"))
	return text != "" && strings.Contains(string(raw), text)
}

// ownCPU is the CPU time of this process.
func ownCPU() time.Duration {
	var u syscall.Rusage
	_ = syscall.Getrusage(syscall.RUSAGE_SELF, &u)
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}

// chromeCPU is the CPU time of the browsers that this process runs.
func chromeCPU() time.Duration { return treeCPU(os.Getpid(), envSite+"=1") }

// meter measures what happens between its start and its stop.
type meter struct {
	began       time.Time
	chrome, own time.Duration
	ended       time.Duration // of browsers that each had one job, read at its end
}

func startMeter() *meter { return &meter{began: time.Now(), chrome: chromeCPU(), own: ownCPU()} }

func (m *meter) stop(n int) cost {
	c := cost{wall: time.Since(m.began), client: ownCPU() - m.own, chrome: m.ended, n: n}
	if c.chrome == 0 {
		c.chrome = chromeCPU() - m.chrome
	}
	return c
}
