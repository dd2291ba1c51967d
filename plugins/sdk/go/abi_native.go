//go:build !wasip1

package kernel

import (
	"fmt"
	"os"
)

func hostLog(level Level, s string) { fmt.Fprintf(os.Stderr, "kernel log %d: %s\n", level, s) }

func hostFail(code int32, s string) { fmt.Fprintf(os.Stderr, "kernel fail %d: %s\n", code, s) }

func hostCounter(id uint32, delta int64) {
	fmt.Fprintf(os.Stderr, "kernel counter %d: %+d\n", id, delta)
}
