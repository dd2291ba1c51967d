package nats_test

import (
	"bufio"
	"context"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/waybill-dev/waybill/pipeline"
	"github.com/waybill-dev/waybill/stages/claim/claimtest"
	"github.com/waybill-dev/waybill/stages/claim/nats"
)

// TestEmbeddedSurvivesKill kills a process together with the server inside it,
// in the middle of its work, and opens the folder again: what the process was
// told must hold. (The suite's own crash test has two processes on one store,
// which an embedded server refuses.)
func TestEmbeddedSurvivesKill(t *testing.T) {
	url := "nats:embedded?dir=" + t.TempDir()
	enqueued, acked := map[string]bool{}, map[string]bool{}
	for round := range 3 {
		killVictim(t, url, 60+round*31, enqueued, acked)
		q := mustOpen(t, url, pipeline.QueueOptions{Lease: claimtest.Lease})
		entries, err := q.List(t.Context(), pipeline.Filter{Limit: 1 << 20})
		if err != nil {
			t.Fatal(err)
		}
		states := map[string]pipeline.ItemState{}
		for _, e := range entries {
			states[e.ID] = e.State
		}
		for id := range enqueued {
			if s := states[id]; s == "" || acked[id] && s != pipeline.StateDone {
				t.Fatalf("round %d: %s (acknowledged: %v) is in state %q", round, id, acked[id], s)
			}
		}
		if s, err := q.Stats(t.Context()); err != nil || s.Enqueued != int64(len(entries)) {
			t.Fatalf("stats %+v of %d entries, error %v", s, len(entries), err)
		}
		if err := q.Close(); err != nil {
			t.Fatal(err)
		}
	}
	if len(acked) < 30 {
		t.Fatalf("only %d acknowledged: the victims did nothing worth killing", len(acked))
	}
}

// killVictim runs the suite's victim on a store and kills it after so many lines.
func killVictim(t *testing.T, url string, lines int, enqueued, acked map[string]bool) {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), os.Args[0], "-test.run=^$")
	cmd.Env = append(os.Environ(), "WAYBILL_CLAIMTEST_VICTIM="+url)
	var stderr strings.Builder
	cmd.Stderr = &stderr
	out, err := cmd.StdoutPipe()
	if err == nil {
		err = cmd.Start()
	}
	if err != nil {
		t.Fatal(err)
	}
	n := 0
	for sc := bufio.NewScanner(out); sc.Scan(); n++ {
		if n == lines {
			_ = cmd.Process.Kill()
		}
		switch word, id, _ := strings.Cut(sc.Text(), " "); word {
		case "enqueued":
			enqueued[id] = true
		case "acked":
			acked[id] = true
		}
	}
	_ = cmd.Wait()
	if n < lines {
		t.Fatalf("the victim ended after %d lines: %s", n, stderr.String())
	}
}

func TestEmbeddedIsOfOneProcess(t *testing.T) {
	url := "nats:embedded?dir=" + t.TempDir()
	first := mustOpen(t, url, pipeline.QueueOptions{Create: true})
	// Another driver stands for another process: it shares nothing with the first.
	_, err := open(nats.Driver(), url, pipeline.QueueOptions{Create: true})
	if pipeline.CodeOf(err) != "in-use" || pipeline.KindOf(err) != pipeline.Unavailable {
		t.Fatalf("error %v, want in-use", err)
	}
	if err := first.Close(); err != nil {
		t.Fatal(err)
	}
	mustOpen(t, url, pipeline.QueueOptions{})
}

func TestEmbeddedAbsent(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "absent")
	_, err := open(nats.Driver(), "nats:embedded?dir="+dir, pipeline.QueueOptions{})
	if pipeline.CodeOf(err) != "no-queue" {
		t.Fatalf("error %v, want no-queue", err)
	}
	if _, err := os.Stat(dir); err == nil {
		t.Error("asking for a queue made its folder")
	}
}

// TestEmbeddedClockIsTheServers: without a clock of the tests the lease's end is
// the server's time, which here is this machine's.
func TestEmbeddedClockIsTheServers(t *testing.T) {
	q := mustOpen(t, "nats:embedded?dir="+t.TempDir(), pipeline.QueueOptions{Create: true, Lease: time.Hour})
	before := time.Now().Add(-time.Minute)
	if _, err := q.Enqueue(t.Context(), []pipeline.NewItem{{ID: "a"}}); err != nil {
		t.Fatal(err)
	}
	if _, err := q.Claim(context.Background(), 1); err != nil {
		t.Fatal(err)
	}
	e, err := q.Show(t.Context(), "a")
	if err != nil || e.Enqueued.Before(before) || e.Enqueued.After(time.Now()) || e.LeaseUntil.Sub(e.Enqueued) < time.Hour {
		t.Errorf("entry %+v, error %v", e, err)
	}
}
