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
	Stages: []stageProgress{{Name: "execute", In: 2, Limit: 2, Done: 40}, {Name: "store", In: 1, Limit: 8, Done: 47}}}

func TestBlock(t *testing.T) {
	want := []string{
		"running 10s: 50 ended (5.0/s), 47 ok, 2 failed, 3 in flight, 1 skipped, 4 retries",
		"  execute ##########   2/2   40 done",
		"  store   ##........   1/8   47 done",
	}
	if d := cmp.Diff(want, sample.block(200, 24)); d != "" {
		t.Error(d)
	}
}

// A paused queue and a full limit are why nothing happens.
func TestBlockShowsWhatHolds(t *testing.T) {
	p := progress{Elapsed: time.Second, Paused: true, Stages: []stageProgress{{Name: "send", Limit: 4, Waiting: 3}}}
	want := []string{
		"paused 1s: 0 ended (0.0/s), 0 ok, 0 failed, 0 in flight",
		"  send ..........   0/4   0 done, 3 wait for its limit",
	}
	if d := cmp.Diff(want, p.block(200, 24)); d != "" {
		t.Error(d)
	}
	if p.Draining = true; !strings.HasPrefix(p.summary(), "draining") {
		t.Error(p.summary())
	}
}

// A small terminal shows less of names, no bars and not every stage; it shows
// every figure.
func TestSmallTerminals(t *testing.T) {
	p := sample
	p.Stages = []stageProgress{{Name: "a-stage-with-a-very-long-name", In: 2, Limit: 2, Done: 40}, {Name: "store", In: 1, Limit: 8, Done: 47},
		{Name: "x", Limit: 1}, {Name: "y", Limit: 1}}
	want := []string{
		"running 10s: 50 ended (5.0/s), 47 ok,",
		"2 failed, 3 in flight, 1 skipped,",
		"4 retries",
		"  a-stage-with-a…   2/2   40 done",
		"  store             1/8   47 done",
		"  and 2 more stages",
	}
	if d := cmp.Diff(want, p.block(40, 7)); d != "" {
		t.Error(d)
	}
	for width := 21; width < 120; width++ {
		for height := 2; height < 30; height++ {
			block := p.block(width, height)
			for _, line := range block {
				if len([]rune(line)) >= width {
					t.Fatalf("%q would wrap at %d columns", line, width)
				}
			}
			if width >= 40 && height >= 6 && len(block) >= height {
				t.Fatalf("%d lines would scroll in %d", len(block), height)
			}
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
		if !strings.HasSuffix(b.String(), "\r\x1b[4A\x1b[Ja log line\n") {
			t.Errorf("the block is not removed before the log line: %q", b.String())
		}
	})
}
