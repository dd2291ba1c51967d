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
	"github.com/waybill-dev/waybill/stages/claim/internal/local"
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
	token := again[0].Token
	for _, it := range claim(t, s, 10) {
		if it.ID != "i1" {
			end(t, s, it, pipeline.Succeeded)
			continue
		}
		// It stays condemned, with no attempt to give back, until it is ended.
		for range 2 {
			if pipeline.CodeOf(it.Condemned) != pipeline.CodeAttemptsExhausted || it.Attempt != 3 || it.Token <= token {
				t.Fatalf("attempt %d, token %d, condemned: %v; want that 3 attempts are used up", it.Attempt, it.Token, it.Condemned)
			}
			token = it.Token
			if err := s.Nack(t.Context(), it, pipeline.Release{Refund: true}); err != nil {
				t.Fatal(err)
			}
			it = claim(t, s, 1)[0]
		}
		die(s)
		s = mustOpen(t, "file:in.jsonl", o)
		if it = claim(t, s, 1)[0]; it.Condemned == nil || it.Token <= token+1 {
			t.Fatalf("in the next run: token %d after %d, condemned: %v", it.Token, token+1, it.Condemned)
		}
		end(t, s, it, pipeline.Dead)
		for _, it := range claim(t, s, 10) {
			end(t, s, it, pipeline.Succeeded)
		}
		break
	}
	wantEOF(t, s)
	letters := readLetters(t, path+".dead.jsonl")
	if len(letters) != 2 || letters[0].ID != "i2" || letters[1].ID != "i1" || letters[1].Meta["dead.code"] != pipeline.CodeAttemptsExhausted {
		t.Errorf("dead letters %+v", letters)
	}
	die(s)
	s = mustOpen(t, "file:in.jsonl", o)
	wantEOF(t, s)
}

// TestGivenBackIsNotDead: the journal tells attempts that were given back from
// those that killed their process.
func TestGivenBackIsNotDead(t *testing.T) {
	dir := folder(t, map[string]string{"in.jsonl": lines(1)})
	o := pipeline.QueueOptions{Dir: dir, Checkpoint: "in.ckpt", MaxAttempts: 1}
	for attempt := 1; attempt <= 3; attempt++ {
		s := mustOpen(t, "file:in.jsonl", o)
		it := claim(t, s, 1)[0]
		if it.Condemned != nil || it.Attempt != attempt {
			t.Fatalf("attempt %d, condemned: %v; want attempt %d", it.Attempt, it.Condemned, attempt)
		}
		if err := s.Nack(t.Context(), it, pipeline.Release{}); err != nil {
			t.Fatal(err)
		}
		die(s)
	}
	s := mustOpen(t, "file:in.jsonl", o)
	claim(t, s, 1)
	die(s)
	if it := claim(t, mustOpen(t, "file:in.jsonl", o), 1)[0]; pipeline.CodeOf(it.Condemned) != pipeline.CodeAttemptsExhausted {
		t.Errorf("after the death of its process: condemned: %v", it.Condemned)
	}
}

// die ends a source as the end of its process does: the files close, nothing
// else happens.
func die(s *local.Source) {
	_ = s.Journal.Close()
	s.Journal = nil
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

// TestUnwritableLetters: an item that cannot be kept is not ended.
func TestUnwritableLetters(t *testing.T) {
	dir := folder(t, map[string]string{"in.jsonl": "{\"id\":\"a\"}\nbad\n"})
	if err := os.Mkdir(filepath.Join(dir, "in.jsonl.dead.jsonl"), 0o755); err != nil {
		t.Fatal(err)
	}
	s := mustOpen(t, "file:in.jsonl", pipeline.QueueOptions{Dir: dir})
	items := claim(t, s, 2)
	for _, it := range items {
		if err := s.Ack(t.Context(), it, pipeline.Outcome{Result: pipeline.Dead}); pipeline.CodeOf(err) != "checkpoint-failed" || pipeline.KindOf(err) != pipeline.Unavailable {
			t.Errorf("ack: %v, want that the dead letters cannot be written", err)
		}
	}
	end(t, s, items[0], pipeline.Succeeded) // still ours
	if err := s.Nack(t.Context(), items[1], pipeline.Release{}); err != nil {
		t.Fatal(err)
	}
	if it := claim(t, s, 1)[0]; it.Condemned == nil {
		t.Error("the bad line was forgotten")
	}
}

// TestSharedLetters: runs over one input do not overwrite each other's dead, nor
// go on in the middle of a line that a crash left.
func TestSharedLetters(t *testing.T) {
	dir := folder(t, map[string]string{"in.jsonl": lines(4)})
	path := filepath.Join(dir, "in.jsonl.dead.jsonl")
	if err := os.WriteFile(path, []byte("{\"id\":\"before\"}\n{\"id\":\"to"), 0o644); err != nil {
		t.Fatal(err)
	}
	a := mustOpen(t, "file:in.jsonl", pipeline.QueueOptions{Dir: dir})
	b := mustOpen(t, "file:in.jsonl", pipeline.QueueOptions{Dir: dir})
	of := map[*local.Source][]*pipeline.Item{a: claim(t, a, 4), b: claim(t, b, 4)}
	for i := range 4 {
		for _, s := range []*local.Source{a, b} {
			end(t, s, of[s][i], pipeline.Dead)
		}
	}
	var got []string
	for _, l := range readLetters(t, path) {
		got = append(got, l.ID)
	}
	if d := cmp.Diff([]string{"before", "i0", "i0", "i1", "i1", "i2", "i2", "i3", "i3"}, got); d != "" {
		t.Errorf("the dead letters (-want +got):\n%s", d)
	}
}

// TestForeignCheckpoint: a file that is not ours is refused and stays as it is.
func TestForeignCheckpoint(t *testing.T) {
	head := `{"waybill":"checkpoint/1","input":"file:in.jsonl","format":"items"}`
	for name, tc := range map[string]struct {
		text string
		ours bool
	}{
		"one value":           {`{"users":["a","b"],"no":"newline at end"}`, false},
		"text":                {"one\ntwo\nthree without newline", false},
		"blank first":         {"\nx", false},
		"half a value":        {`{"users":[`, false},
		"other input":         {strings.Replace(head, "in.jsonl", "x", 1) + "\n{\"did\":\"cl", false},
		"empty":               {"", true},
		"we died over it":     {head[:20], true},
		"and just not yet":    {head, true},
		"at the second line":  {head + "\n{\"did\":\"cla", true},
		"after a second line": {head + "\n{\"did\":\"claim\",\"id\":\"a\"}", true},
	} {
		t.Run(name, func(t *testing.T) {
			dir := folder(t, map[string]string{"in.jsonl": "{\"id\":\"a\"}\n", "precious": tc.text})
			src, err := Driver().Open(t.Context(), "file:in.jsonl", pipeline.QueueOptions{Dir: dir, Checkpoint: "precious"})
			text, readErr := os.ReadFile(filepath.Join(dir, "precious"))
			if readErr != nil {
				t.Fatal(readErr)
			}
			if tc.ours {
				if err != nil || !strings.HasPrefix(string(text), head+"\n") || !strings.HasSuffix(string(text), "}\n") {
					t.Fatalf("%v, the checkpoint is %q", err, text)
				}
				if err := src.(*local.Source).Close(); err != nil {
					t.Error(err)
				}
				return
			}
			if pipeline.CodeOf(err) != "bad-checkpoint" || string(text) != tc.text {
				t.Errorf("%v; the file is now %q, was %q", err, text, tc.text)
			}
		})
	}
}
