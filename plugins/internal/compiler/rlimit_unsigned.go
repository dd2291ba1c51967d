//go:build unix && !linux && !freebsd && !dragonfly

package compiler

import "syscall"

func setLimit(resource int, value uint64) error {
	return syscall.Setrlimit(resource, &syscall.Rlimit{Cur: value, Max: value})
}
