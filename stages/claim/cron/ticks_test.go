package cron

import (
	"encoding/json"
	"os"
	"path/filepath"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/waybill-dev/waybill/pipeline"
	"github.com/waybill-dev/waybill/stages/claim/internal/local/localtest"
	"go.uber.org/goleak"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

func mustOpen(t *testing.T, url, dir, checkpoint string) pipeline.Source {
	t.Helper()
	s, err := Driver().Open(t.Context(), url, pipeline.QueueOptions{Dir: dir, Checkpoint: checkpoint, MaxAttempts: 2})
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func TestExercise(t *testing.T) {
	for _, checkpoint := range []string{"", "cron.checkpoint"} {
		localtest.Exercise(t, func(t *testing.T, dir string) pipeline.Source {
			return mustOpen(t, "cron:@every 5s", dir, checkpoint)
		})
	}
}

func body(t *testing.T, it *pipeline.Item) (k tick) {
	t.Helper()
	if err := json.Unmarshal(it.Input, &k); err != nil {
		t.Fatal(err)
	}
	if it.ID != k.id() {
		t.Errorf("the id %q is not that of %v", it.ID, k.Time)
	}
	return k
}

// One item per tick, at its time and not before.
func TestOnTime(t *testing.T) {
	synctest.Test(t, func(t *testing.T) { // begins 2000-01-01 00:00 UTC
		s := mustOpen(t, "cron:*/15 * * * *", t.TempDir(), "")
		for _, want := range []string{"2000-01-01T00:15:00Z", "2000-01-01T00:30:00Z"} {
			n, next, err := s.Pending(t.Context())
			if n != 0 || next.UTC().Format(time.RFC3339) != want || err != nil {
				t.Fatalf("pending %d, next %v, error %v; want %s", n, next, err, want)
			}
			time.Sleep(time.Until(next) - time.Nanosecond)
			if items, err := s.Claim(t.Context(), 5); len(items) > 0 || err != nil {
				t.Fatalf("claimed %d too early, error %v", len(items), err)
			}
			time.Sleep(time.Nanosecond)
			items, err := s.Claim(t.Context(), 5)
			if err != nil || len(items) != 1 {
				t.Fatalf("claimed %d, error %v", len(items), err)
			}
			if k := body(t, items[0]); items[0].ID != want || k.Missed != 0 {
				t.Errorf("claimed %s, %d missed; want %s", items[0].ID, k.Missed, want)
			}
			localtest.End(t, s, items[0], pipeline.Succeeded)
		}
		if err := localtest.Close(s); err != nil {
			t.Error(err)
		}
	})
}

// What happens to the ticks of a downtime, and of an item that took long.
func TestCatchUp(t *testing.T) {
	type claimed struct {
		ID     string
		Missed int
	}
	for policy, want := range map[string][]claimed{
		"one":  {{"2000-01-01T00:10:00Z", 0}, {"2000-01-01T01:00:00Z", 4}, {"2000-01-01T01:30:00Z", 2}, {"2000-01-01T01:40:00Z", 0}},
		"none": {{"2000-01-01T00:10:00Z", 0}, {"2000-01-01T01:10:00Z", 0}, {"2000-01-01T01:40:00Z", 0}, {"2000-01-01T01:50:00Z", 0}},
		"all":  {{"2000-01-01T00:10:00Z", 0}, {"2000-01-01T00:20:00Z", 0}, {"2000-01-01T00:30:00Z", 0}, {"2000-01-01T00:40:00Z", 0}},
	} {
		for _, spec := range []string{"@every 10m", "*/10 * * * *"} {
			t.Run(policy+" "+spec, func(t *testing.T) {
				dir := t.TempDir()
				synctest.Test(t, func(t *testing.T) {
					url := "cron:" + spec + "?catch-up=" + policy
					var got []claimed
					next := func(s pipeline.Source, work time.Duration) {
						for {
							items, err := s.Claim(t.Context(), 1)
							if err != nil {
								t.Fatal(err)
							}
							if len(items) == 1 {
								got = append(got, claimed{items[0].ID, body(t, items[0]).Missed})
								time.Sleep(work)
								localtest.End(t, s, items[0], pipeline.Succeeded)
								return
							}
							time.Sleep(time.Second)
						}
					}
					s := mustOpen(t, url, dir, "var/c")
					next(s, 0)
					if err := localtest.Close(s); err != nil {
						t.Fatal(err)
					}
					time.Sleep(55 * time.Minute) // nothing runs; it is 01:05 then
					s = mustOpen(t, url, dir, "var/c")
					next(s, 25*time.Minute)
					next(s, 0)
					next(s, 0)
					if d := cmp.Diff(want, got); d != "" {
						t.Errorf("(-want +got):\n%s", d)
					}
					if err := localtest.Close(s); err != nil {
						t.Fatal(err)
					}
				})
			})
		}
	}
}

// While an item is held no other comes, however many ticks pass.
func TestOneAtATime(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := mustOpen(t, "cron:@every 10s?catch-up=all", t.TempDir(), "")
		it := localtest.Claim(t, s, 5)[0]
		localtest.None(t, s, time.Minute)
		if n, next, err := s.Pending(t.Context()); n != 1 || !next.IsZero() || err != nil {
			t.Errorf("pending %d, next %v, error %v; want the one that is held", n, next, err)
		}
		localtest.End(t, s, it, pipeline.Succeeded)
		if it := localtest.Claim(t, s, 5); len(it) != 1 || it[0].ID != "2000-01-01T00:00:20Z" {
			t.Errorf("claimed %d, first %s", len(it), it[0].ID)
		}
		if err := localtest.Close(s); err != nil {
			t.Fatal(err)
		}
	})
}

// A downtime before the first tick counts from the first start.
func TestMissedBeforeTheFirst(t *testing.T) {
	dir := t.TempDir()
	synctest.Test(t, func(t *testing.T) {
		s := mustOpen(t, "cron:0 * * * *", dir, "c")
		localtest.None(t, s, time.Second)
		if err := localtest.Close(s); err != nil {
			t.Fatal(err)
		}
		time.Sleep(90 * time.Minute)
		s = mustOpen(t, "cron:0 * * * *", dir, "c")
		if it := localtest.Claim(t, s, 1)[0]; it.ID != "2000-01-01T01:00:00Z" {
			t.Errorf("claimed %s", it.ID)
		}
		if err := localtest.Close(s); err != nil {
			t.Fatal(err)
		}
	})
}

// A tick whose process dies comes again, until its attempts are used up, and
// tokens go on growing.
func TestKilled(t *testing.T) {
	dir := t.TempDir()
	synctest.Test(t, func(t *testing.T) {
		var last *pipeline.Item
		for attempt := 1; attempt <= 3; attempt++ {
			s := mustOpen(t, "cron:@every 1h", dir, "c")
			if attempt == 1 {
				time.Sleep(time.Hour)
			}
			it := localtest.Claim(t, s, 1)[0]
			if last != nil && (it.ID != last.ID || it.Token <= last.Token) {
				t.Errorf("claimed %s with token %d after %s with %d", it.ID, it.Token, last.ID, last.Token)
			}
			if condemned := it.Condemned != nil; condemned != (attempt == 3) {
				t.Errorf("attempt %d: condemned: %v", attempt, it.Condemned)
			}
			last = it
			if attempt == 3 {
				localtest.End(t, s, it, pipeline.Dead)
			}
			// Closing writes nothing about what is held: as if killed.
			if err := localtest.Close(s); err != nil {
				t.Fatal(err)
			}
		}
		if _, err := os.Stat(filepath.Join(dir, "c.dead.jsonl")); err != nil {
			t.Errorf("no dead letter: %v", err)
		}
	})
}

func TestRefused(t *testing.T) {
	for url, o := range map[string]pipeline.QueueOptions{
		"cron:":                         {},
		"cron:* * * * *?tz=Nowhere/At":  {},
		"cron:* * * * *?catch-up=some":  {},
		"cron:* * * * *?timezone=UTC":   {},
		"cron:* * * * *":                {Create: true},
		"cron:99 * * * *?catch-up=none": {},
	} {
		if err := Driver().Check(url, o); err == nil {
			t.Errorf("%s: accepted", url)
		}
		if s, err := Driver().Open(t.Context(), url, o); err == nil || s != nil {
			t.Errorf("%s: opened, error %v", url, err)
		}
	}
}

func TestBadCheckpoint(t *testing.T) {
	dir := t.TempDir()
	path := filepath.Join(dir, "c")
	text := `{"waybill":"checkpoint/1","input":"cron:@every 5s?tz=UTC","format":"live"}` + "\n" + `{"did":"take","id":"x","data":{}}` + "\n"
	if err := os.WriteFile(path, []byte(text), 0o644); err != nil {
		t.Fatal(err)
	}
	if s, err := Driver().Open(t.Context(), "cron:@every 5s", pipeline.QueueOptions{Dir: dir, Checkpoint: "c"}); pipeline.CodeOf(err) != "bad-checkpoint" || s != nil {
		t.Errorf("error %v, want bad-checkpoint", err)
	}
	if _, err := Driver().Open(t.Context(), "cron:@every 6s", pipeline.QueueOptions{Dir: dir, Checkpoint: "c"}); pipeline.CodeOf(err) != "bad-checkpoint" {
		t.Errorf("another schedule: error %v, want bad-checkpoint", err)
	}
}
