package mongodb_test

import (
	"os"
	"strconv"
	"testing"
	"time"

	"github.com/waybill-dev/waybill/pipeline"
	"github.com/waybill-dev/waybill/stages/claim/claimtest"
	"github.com/waybill-dev/waybill/stages/claim/mongodb"
	"golang.org/x/sys/unix"
)

// serverPid names the process of the server, which is another one. Without it only
// our own processor time is measured.
const serverPid = "WAYBILL_BENCH_SERVER"

// BenchmarkQueue is to be compared with BenchmarkFloor.
func BenchmarkQueue(b *testing.B) {
	claimtest.Speed(b, func(b *testing.B) claimtest.Racer { return beside(b, claimtest.Queue(emptyQueue(b))) })
}

// BenchmarkFloor is the engine without the protocol, see mongodb.Floor.
func BenchmarkFloor(b *testing.B) {
	claimtest.Speed(b, func(b *testing.B) claimtest.Racer { return beside(b, mongodb.Floor(emptyQueue(b))) })
}

func emptyQueue(b *testing.B) *mongodb.Queue {
	b.Helper()
	q, err := open(mongodb.Driver(), emptyStore(b), pipeline.QueueOptions{Create: true})
	if err != nil {
		b.Fatal(err)
	}
	b.Cleanup(func() { _ = q.Close() })
	return q
}

// beside adds the server's processor time.
func beside(b *testing.B, r claimtest.Racer) claimtest.Racer {
	text := os.Getenv(serverPid)
	if text == "" {
		return r
	}
	pid, err := strconv.Atoi(text)
	if err != nil {
		b.Fatalf("%s: %v", serverPid, err)
	}
	r.ServerCPU = func() (time.Duration, error) {
		var t unix.Timespec
		err := unix.ClockGettime(clockOf(pid), &t)
		return time.Duration(t.Nano()), err
	}
	return r
}

// clockOf is the clock of what a process has taken of the processors, as Linux
// makes it of a process id (clock_getcpuclockid(3)).
func clockOf(pid int) int32 { return int32(^pid<<3 | 2) }
