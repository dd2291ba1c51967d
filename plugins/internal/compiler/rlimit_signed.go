//go:build freebsd || dragonfly

package compiler

import "syscall"

func setLimit(resource int, value uint64) error {
	return syscall.Setrlimit(resource, &syscall.Rlimit{Cur: int64(value), Max: int64(value)})
}
