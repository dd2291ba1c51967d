package cli

import (
	"bytes"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"
)

var sample = progress{Elapsed: 10 * time.Second, Ended: 50, Succeeded: 47, Failed: 2, Skipped: 1, InFlight: 3, Retries: 4,
	Stages: []stageProgress{{"execute", 2, 2, 40}, {"store", 1, 8, 47}}}

func TestBlock(t *testing.T) {
	want := []string{
		"running 10s: 50 ended (5.0/s), 47 ok, 2 failed, 3 in flight, 1 skipped, 4 retries",
		"  execute ##########   2/2   40 done",
		"  store   ##........   1/8   47 done",
	}
	if d := cmp.Diff(want, sample.block(200)); d != "" {
		t.Error(d)
	}
	for _, line := range sample.block(20) {
		if len(line) >= 20 {
			t.Errorf("%q would wrap at 20 columns", line)
		}
	}
}

func TestStatusLines(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var b bytes.Buffer
		s := newStatus(&b, func() progress { return sample })
		s.start()
		time.Sleep(2*lineEvery + time.Second)
		s.stop()
		if n := strings.Count(b.String(), "running 10s"); n != 2 || strings.Contains(b.String(), "\x1b") {
			t.Errorf("%d lines in two periods, want 2 plain ones: %q", n, b.String())
		}
	})
}

func TestStatusBlock(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var b bytes.Buffer
		s := newStatus(&b, func() progress { return sample })
		s.terminal = true
		s.start()
		time.Sleep(redrawEvery + time.Millisecond)
		synctest.Wait()
		if _, err := s.Write([]byte("a log line\n")); err != nil {
			t.Fatal(err)
		}
		s.stop()
		if !strings.HasSuffix(b.String(), "\x1b[3A\x1b[Ja log line\n") {
			t.Errorf("the block is not removed before the log line: %q", b.String())
		}
	})
}
