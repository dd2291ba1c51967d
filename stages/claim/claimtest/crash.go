package claimtest

import (
	"bufio"
	"context"
	"errors"
	"flag"
	"fmt"
	"os"
	"os/exec"
	"strings"
	"testing"
	"time"

	"github.com/waybill-dev/waybill/pipeline"
)

// victimEnv tells the test binary that it is the crash test's victim, and of
// which store.
const victimEnv = "WAYBILL_CLAIMTEST_VICTIM"

// Main runs a driver's tests. The crash test starts the same binary again;
// then Main works on the store at that location until it is killed.
func Main(m *testing.M, reopen func(location string, o pipeline.QueueOptions) (pipeline.Queue, error)) int {
	location := os.Getenv(victimEnv)
	if location == "" {
		// A check writes to a disk some hundred times; -rapid.checks=1000 says more.
		// A failure prints its seed, and leaves no file in the tree.
		if err := errors.Join(flag.Set("rapid.checks", "12"), flag.Set("rapid.nofailfile", "true")); err != nil {
			panic(err)
		}
		return m.Run()
	}
	q, err := reopen(location, pipeline.QueueOptions{Create: true, Lease: Lease, Owner: "victim"})
	if err == nil {
		err = victim(q)
	}
	fmt.Fprintln(os.Stderr, "victim:", err)
	return 1
}

// victim claims, gives back and acknowledges until it is killed, and says each
// thing that it was told is true.
func victim(q pipeline.Queue) error {
	ctx := context.Background()
	for n := 0; ; n++ {
		if _, err := q.Enqueue(ctx, []pipeline.NewItem{{ID: fmt.Sprintf("%d-%d", os.Getpid(), n), Key: fmt.Sprint(n % 5)}}); err != nil {
			return err
		}
		fmt.Printf("enqueued %d-%d\n", os.Getpid(), n)
		items, err := q.Claim(ctx, 1+n%4)
		if err != nil {
			return err
		}
		for i, it := range items {
			if (n+i)%7 == 0 {
				if err := q.Nack(ctx, it, pipeline.Release{}); err != nil {
					return err
				}
				continue
			}
			if err := q.Ack(ctx, it, pipeline.Outcome{Result: pipeline.Succeeded}); err != nil {
				return err
			}
			fmt.Printf("acked %s\n", it.ID)
		}
	}
}

// crash kills processes in the middle of their work; what they were told must
// hold, and the queue must be whole.
func crash(b *bench) {
	if b.store.Location == "" {
		b.Skip("the store lives in memory only")
	}
	enqueued, acked := map[string]bool{}, map[string]bool{}
	for round := range 4 {
		kill(b, 40+round*29, func(word, id string) {
			switch word {
			case "enqueued":
				enqueued[id] = true
			case "acked":
				acked[id] = true
			}
		})
		b.stats()
		stands := b.all()
		for id := range enqueued {
			if e, ok := stands[id]; !ok || acked[id] && e.State != pipeline.StateDone {
				b.Fatalf("round %d: %s (acknowledged: %v) is there: %v, in state %q", round, id, acked[id], ok, e.State)
			}
		}
		b.advance(24 * time.Hour) // beyond all leases of the dead
		if s := b.stats(); s.Leased != 0 {
			b.Fatalf("round %d: leases outlive their end: %+v", round, s)
		}
	}
	if len(enqueued) < 50 || len(acked) < 50 {
		b.Fatalf("the victims did nothing worth killing: %d enqueued, %d acknowledged", len(enqueued), len(acked))
	}
	for {
		items := b.claim(10)
		if len(items) == 0 {
			break
		}
		for _, it := range items {
			if acked[it.ID] {
				b.Fatalf("%s came back after its acknowledgement", it.ID)
			}
			b.ack(it, pipeline.Succeeded)
		}
	}
	if s := b.stats(); s.Done != s.Enqueued || s.Done < int64(len(enqueued)) {
		b.Errorf("at the end %+v, want at least %d done and nothing else", s, len(enqueued))
	}
}

// kill starts a victim, reads so many of its lines, kills it and reads the rest.
func kill(b *bench, lines int, said func(word, id string)) {
	b.Helper()
	cmd := exec.CommandContext(b.Context(), os.Args[0], "-test.run=^$")
	cmd.Env = append(os.Environ(), victimEnv+"="+b.store.Location)
	var stderr strings.Builder
	cmd.Stderr = &stderr
	out, err := cmd.StdoutPipe()
	if err == nil {
		err = cmd.Start()
	}
	if err != nil {
		b.Fatal(err)
	}
	n := 0
	for sc := bufio.NewScanner(out); sc.Scan(); n++ {
		if n == lines {
			_ = cmd.Process.Kill()
		}
		if word, id, ok := strings.Cut(sc.Text(), " "); ok {
			said(word, id)
		}
	}
	_ = cmd.Wait()
	if n < lines {
		b.Fatalf("the victim ended after %d lines: %s", n, stderr.String())
	}
}
