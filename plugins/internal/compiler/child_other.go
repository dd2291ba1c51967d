//go:build !unix

package compiler

import (
	"os"
	"os/exec"
)

func self() (string, error) { return os.Executable() }

// apart leaves the command as it is: these systems have no process groups, and
// the child starts no processes.
func apart(*exec.Cmd) {}

// confine has nothing to limit with: there is the deadline, and what the
// collector is told about memory.
func confine(Limits) error { return nil }
