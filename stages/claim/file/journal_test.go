package file

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/waybill-dev/waybill/pipeline"
)

func lines(n int) string {
	var b strings.Builder
	for i := range n {
		fmt.Fprintf(&b, "{\"id\":\"i%d\"}\n", i)
	}
	return b.String()
}

func TestCheckpoint(t *testing.T) {
	dir := folder(t, map[string]string{"in.jsonl": lines(6)})
	o := pipeline.QueueOptions{Dir: dir, Checkpoint: "var/in.ckpt", MaxAttempts: 3}
	s := mustOpen(t, "file:in.jsonl", o)
	items := claim(t, s, 4)
	end(t, s, items[0], pipeline.Succeeded)
	end(t, s, items[2], pipeline.Dead)
	if err := s.Nack(t.Context(), items[3], pipeline.Release{Refund: true}); err != nil {
		t.Fatal(err)
	}
	// The process dies here: nobody closes anything, and the last line is torn.
	path := filepath.Join(dir, "var/in.ckpt")
	die(s)
	tear(t, path, `{"did":"end","id":"i1"`)

	s = mustOpen(t, "file:in.jsonl", o)
	if _, err := Driver().Open(t.Context(), "file:in.jsonl", o); pipeline.CodeOf(err) != "checkpoint-busy" {
		t.Errorf("a second process: %v, want that the checkpoint is busy", err)
	}
	again := claim(t, s, 10)
	got := map[string]int{}
	for _, it := range again {
		got[it.ID] = it.Attempt
		if it.Token <= items[3].Token {
			t.Errorf("%s: token %d is not above that of the earlier run, %d", it.ID, it.Token, items[3].Token)
		}
	}
	if d := cmp.Diff(map[string]int{"i1": 2, "i3": 1, "i4": 1, "i5": 1}, got); d != "" {
		t.Fatalf("attempts of what had not ended (-want +got):\n%s", d)
	}

	// i1 kills its process once more: its third attempt was its last.
	die(s)
	s = mustOpen(t, "file:in.jsonl", o)
	claim(t, s, 1)
	die(s)
	s = mustOpen(t, "file:in.jsonl", o)
	for _, it := range claim(t, s, 10) {
		if it.ID == "i1" {
			t.Errorf("attempt %d of %s, at most 3 are allowed", it.Attempt, it.ID)
		}
		end(t, s, it, pipeline.Succeeded)
	}
	wantEOF(t, s)
	letters := readLetters(t, path+".dead.jsonl")
	if len(letters) != 2 || letters[0].ID != "i2" || letters[1].ID != "i1" || letters[1].Meta["dead.code"] != "lease-expired" {
		t.Errorf("dead letters %+v", letters)
	}
	die(s)
	s = mustOpen(t, "file:in.jsonl", o)
	wantEOF(t, s)
}

// die ends a source as the end of its process does: the files close, nothing
// else happens.
func die(s *source) {
	_ = s.journal.file.Close()
	_ = s.journal.lock.Close()
	s.journal = nil
}

func tear(t *testing.T, path, text string) {
	t.Helper()
	f, err := os.OpenFile(path, os.O_APPEND|os.O_WRONLY, 0)
	if err == nil {
		_, err = f.WriteString(text)
	}
	if err = errors.Join(err, f.Close()); err != nil {
		t.Fatal(err)
	}
}

func TestManyWorkers(t *testing.T) {
	const n = 300
	dir := folder(t, map[string]string{"in.jsonl": lines(n)})
	o := pipeline.QueueOptions{Dir: dir, Checkpoint: "in.ckpt"}
	s := mustOpen(t, "file:in.jsonl", o)
	var mu sync.Mutex
	seen := map[string]int{}
	var wg sync.WaitGroup
	for range 8 {
		wg.Go(func() {
			for {
				items, err := s.Claim(t.Context(), 3)
				if err != nil || len(items) == 0 {
					return // EOF, or the others hold the rest
				}
				for _, it := range items {
					mu.Lock()
					seen[it.ID]++
					mu.Unlock()
					if err := s.Ack(t.Context(), it, pipeline.Outcome{Result: pipeline.Succeeded}); err != nil {
						t.Error(err)
					}
				}
			}
		})
	}
	wg.Wait()
	if len(seen) != n {
		t.Errorf("%d of %d items were claimed", len(seen), n)
	}
	for id, times := range seen {
		if times != 1 {
			t.Errorf("%s was claimed %d times", id, times)
		}
	}
	die(s)
	wantEOF(t, mustOpen(t, "file:in.jsonl", o))
}

// TestNoHalfLetters: an item that cannot be kept is not ended.
func TestUnwritableLetters(t *testing.T) {
	dir := folder(t, map[string]string{"in.jsonl": "{\"id\":\"a\"}\nbad\n"})
	if err := os.Mkdir(filepath.Join(dir, "in.jsonl.dead.jsonl"), 0o755); err != nil {
		t.Fatal(err)
	}
	s := mustOpen(t, "file:in.jsonl", pipeline.QueueOptions{Dir: dir})
	it := claim(t, s, 1)[0]
	if err := s.Ack(t.Context(), it, pipeline.Outcome{Result: pipeline.Dead}); pipeline.CodeOf(err) != "checkpoint-failed" {
		t.Errorf("ack: %v, want that the dead letters cannot be written", err)
	}
	end(t, s, it, pipeline.Succeeded) // still ours
	for range 2 {
		if _, err := s.Claim(t.Context(), 1); pipeline.CodeOf(err) != "checkpoint-failed" {
			t.Errorf("claim: %v, want that the bad line cannot be kept", err)
		}
	}
}

func FuzzJournal(f *testing.F) {
	f.Add([]byte("{\"did\":\"claim\",\"id\":\"a\"}\n{\"did\":\"end\",\"id\":\"a\",\"result\":\"succeeded\"}\n"))
	f.Add([]byte("{\"did\":\"refund\"}\ntorn"))
	f.Fuzz(func(t *testing.T, tail []byte) {
		h := header{Input: "file:x", Format: "items"}
		path := filepath.Join(t.TempDir(), "ckpt")
		j, err := openJournal(path, h)
		if err != nil {
			t.Fatal(err)
		}
		if err := j.close(); err != nil {
			t.Fatal(err)
		}
		tear(t, path, string(tail))
		if j, err = openJournal(path, h); err != nil {
			return
		}
		if err := errors.Join(j.write(journalLine{Did: didEnd, ID: "new"}, true), j.close()); err != nil {
			t.Fatal(err)
		}
		if j, err = openJournal(path, h); err != nil || !j.past["new"].ended {
			t.Fatalf("what was written after %q is not there: %v", tail, err)
		}
		_ = j.close()
	})
}
