package dir

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/waybill-dev/waybill/pipeline"
	"github.com/waybill-dev/waybill/stages/claim/internal/local"
	"github.com/waybill-dev/waybill/stages/claim/internal/local/localtest"
	"go.uber.org/goleak"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// put writes a file of the watched folder, with the bubble's time as its time of
// change: the disk's clock is the real one.
func put(t *testing.T, dir, name, text string) {
	t.Helper()
	path := filepath.Join(dir, name)
	now := time.Now()
	if err := errors.Join(os.MkdirAll(filepath.Dir(path), 0o755), os.WriteFile(path, []byte(text), 0o644), os.Chtimes(path, now, now)); err != nil {
		t.Fatal(err)
	}
}

func mustOpen(t *testing.T, url, dir, checkpoint string) pipeline.Source {
	t.Helper()
	s, err := Driver().Open(t.Context(), url, pipeline.QueueOptions{Dir: dir, Checkpoint: checkpoint, MaxAttempts: 2})
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func mustClose(t *testing.T, s pipeline.Source) {
	t.Helper()
	if err := localtest.Close(s); err != nil {
		t.Errorf("close: %v", err)
	}
}

// in runs a test in a bubble with an empty inbox.
func in(t *testing.T, test func(t *testing.T, dir string)) {
	t.Helper()
	dir := t.TempDir()
	if err := os.Mkdir(filepath.Join(dir, "inbox"), 0o755); err != nil {
		t.Fatal(err)
	}
	synctest.Test(t, func(t *testing.T) { test(t, dir) })
}

// all claims and ends what comes within some polls, and returns names and
// contents.
func all(t *testing.T, s pipeline.Source) (out []string) {
	t.Helper()
	for range 100 {
		items, err := s.Claim(t.Context(), 10)
		if err != nil {
			t.Fatal(err)
		}
		for _, it := range items {
			out = append(out, it.Meta["path"]+"="+string(it.Input))
			localtest.End(t, s, it, pipeline.Succeeded)
		}
		time.Sleep(50 * time.Millisecond)
	}
	slices.Sort(out)
	return out
}

func want(t *testing.T, what string, got []string, want ...string) {
	t.Helper()
	if d := cmp.Diff(want, got); d != "" {
		t.Errorf("%s (-want +got):\n%s", what, d)
	}
}

func TestExercise(t *testing.T) {
	for _, checkpoint := range []string{"", "dir.checkpoint"} {
		localtest.Exercise(t, func(t *testing.T, dir string) pipeline.Source {
			put(t, dir, "inbox/a.html", "<p>")
			return mustOpen(t, "dir:inbox", dir, checkpoint)
		})
	}
}

func TestWhatCounts(t *testing.T) {
	in(t, func(t *testing.T, dir string) {
		for _, name := range []string{"b.html", "a.html", ".hidden.html", "x.txt", "sub/c.html", "d.html.part", "e.html~"} {
			put(t, dir, "inbox/"+name, "<p>"+name)
		}
		if err := os.Symlink(filepath.Join(dir, "inbox/x.txt"), filepath.Join(dir, "inbox/link.html")); err != nil {
			t.Fatal(err)
		}
		s := mustOpen(t, "dir:inbox?glob=*.html", dir, "")
		it := localtest.Claim(t, s, 1)[0]
		if !strings.HasPrefix(it.ID, "a.html@") || it.Body.MediaType() != "text/html; charset=utf-8" || it.Meta["name"] != "a.html" {
			t.Errorf("claimed %s, %s, %v", it.ID, it.Body.MediaType(), it.Meta)
		}
		localtest.End(t, s, it, pipeline.Succeeded)
		want(t, "the rest", all(t, s), "inbox/b.html=<p>b.html", "inbox/link.html=<p>x.txt")
		put(t, dir, "inbox/new.html", "new")
		if err := os.Rename(filepath.Join(dir, "inbox/d.html.part"), filepath.Join(dir, "inbox/d.html")); err != nil {
			t.Fatal(err)
		}
		want(t, "what came later", all(t, s), "inbox/d.html=<p>d.html.part", "inbox/new.html=new")
		if n, _, err := s.Pending(t.Context()); n != 0 || err != nil {
			t.Errorf("pending %d, error %v", n, err)
		}
		mustClose(t, s)
	})
}

// A file that has been dealt with is not read again and again.
func TestReadOnce(t *testing.T) {
	in(t, func(t *testing.T, dir string) {
		put(t, dir, "inbox/a", "1")
		s := mustOpen(t, "dir:inbox", dir, "")
		want(t, "first", all(t, s), "inbox/a=1")
		w := s.(*local.Source).Records.(*watch)
		for range 3 {
			if err := w.scan(time.Now()); err != nil || len(w.ready) > 0 {
				t.Errorf("%d files would be read again, error %v", len(w.ready), err)
			}
		}
		mustClose(t, s)
	})
}

// A file that is being written is left alone until two polls saw it the same.
func TestPartialWrites(t *testing.T) {
	in(t, func(t *testing.T, dir string) {
		s := mustOpen(t, "dir:inbox?poll=1s", dir, "")
		text := ""
		for range 8 {
			text += "part "
			put(t, dir, "inbox/big", text)
			localtest.None(t, s, 500*time.Millisecond) // the shortest wait between two polls
		}
		if n, next, err := s.Pending(t.Context()); n != 1 || !next.After(time.Now().Add(-time.Second)) || err != nil {
			t.Errorf("pending %d, next %v, error %v; want the file that waits", n, next, err)
		}
		want(t, "the whole file", all(t, s), "inbox/big="+text)
		mustClose(t, s)
	})
}

// New content is a new item; the same content again is not.
func TestVersions(t *testing.T) {
	for _, checkpoint := range []string{"", "var/dir"} {
		in(t, func(t *testing.T, dir string) {
			s := mustOpen(t, "dir:inbox", dir, checkpoint)
			again := func() {
				if checkpoint != "" {
					mustClose(t, s)
					s = mustOpen(t, "dir:inbox", dir, checkpoint)
				}
			}
			put(t, dir, "inbox/a", "1")
			want(t, "first", all(t, s), "inbox/a=1")
			again()
			put(t, dir, "inbox/a", "1")
			want(t, "touched", all(t, s))
			again()
			put(t, dir, "inbox/a", "2")
			want(t, "changed", all(t, s), "inbox/a=2")
			again()
			put(t, dir, "inbox/a", "1")
			want(t, "changed back", all(t, s), "inbox/a=1")
			again()
			if err := os.Remove(filepath.Join(dir, "inbox/a")); err != nil {
				t.Fatal(err)
			}
			want(t, "gone", all(t, s))
			again()
			put(t, dir, "inbox/a", "1")
			want(t, "there again", all(t, s), "inbox/a=1")
			mustClose(t, s)
		})
	}
}

func names(t *testing.T, dir string) (out []string) {
	t.Helper()
	entries, err := os.ReadDir(dir)
	if err != nil {
		t.Fatal(err)
	}
	for _, e := range entries {
		out = append(out, e.Name())
	}
	return out
}

func TestMove(t *testing.T) {
	in(t, func(t *testing.T, dir string) {
		for _, name := range []string{"bad", "changed", "good.x", "untouched"} {
			put(t, dir, "inbox/"+name, name)
		}
		put(t, dir, "inbox/done/good.x", "an older one")
		s := mustOpen(t, "dir:inbox?move=done&failed=failed", dir, "")
		for len(names(t, filepath.Join(dir, "inbox/failed"))) == 0 {
			for _, it := range localtest.Claim(t, s, 10) {
				switch it.Meta["name"] {
				case "bad":
					localtest.End(t, s, it, pipeline.Dead)
				case "changed": // while it was worked on
					put(t, dir, "inbox/changed", "once more")
					localtest.End(t, s, it, pipeline.Succeeded)
				case "untouched":
					if err := s.Nack(t.Context(), it, pipeline.Release{After: time.Hour}); err != nil {
						t.Fatal(err)
					}
				default:
					localtest.End(t, s, it, pipeline.Succeeded)
				}
			}
		}
		want(t, "inbox", names(t, filepath.Join(dir, "inbox")), "changed", "done", "failed", "untouched")
		want(t, "failed", names(t, filepath.Join(dir, "inbox/failed")), "bad")
		want(t, "the new content", all(t, s), "inbox/changed=once more")
		want(t, "done", names(t, filepath.Join(dir, "inbox/done")), "changed", "good-"+digestOf("good.x")+".x", "good.x")
		put(t, dir, "inbox/changed", "once more") // what has left and comes again is new
		want(t, "again", all(t, s), "inbox/changed=once more")
		mustClose(t, s)
	})
}

func digestOf(text string) string {
	return strings.TrimPrefix(string(pipeline.DigestOf([]byte(text))), "sha256:")[:shortDigest]
}

// A crash between the end and the move: the next run moves, and does not repeat.
func TestMoveAfterCrash(t *testing.T) {
	in(t, func(t *testing.T, dir string) {
		put(t, dir, "inbox/a", "1")
		s := mustOpen(t, "dir:inbox", dir, "ckpt")
		want(t, "first", all(t, s), "inbox/a=1")
		mustClose(t, s)
		s = mustOpen(t, "dir:inbox?move=done", dir, "ckpt")
		want(t, "after the crash", all(t, s))
		want(t, "done", names(t, filepath.Join(dir, "inbox/done")), "a")
		mustClose(t, s)
	})
}

// A file that kills its process uses up its attempts.
func TestKilled(t *testing.T) {
	in(t, func(t *testing.T, dir string) {
		put(t, dir, "inbox/a", "1")
		for attempt := 1; attempt <= 3; attempt++ {
			s := mustOpen(t, "dir:inbox", dir, "ckpt")
			it := localtest.Claim(t, s, 1)[0]
			if (it.Condemned != nil) != (attempt == 3) {
				t.Errorf("attempt %d: condemned: %v", attempt, it.Condemned)
			}
			mustClose(t, s) // what is held is left as it is
		}
	})
}

// A file that is too large is dead, and the folder's absence is no end.
func TestUnreadable(t *testing.T) {
	in(t, func(t *testing.T, dir string) {
		put(t, dir, "inbox/huge", "")
		if err := os.Truncate(filepath.Join(dir, "inbox/huge"), 65<<20); err != nil {
			t.Fatal(err)
		}
		s := mustOpen(t, "dir:inbox", dir, "")
		it := localtest.Claim(t, s, 1)[0]
		if pipeline.CodeOf(it.Condemned) != "body-too-large" || len(it.Input) > 100 {
			t.Errorf("condemned: %v, with %d bytes", it.Condemned, len(it.Input))
		}
		localtest.End(t, s, it, pipeline.Dead)
		if err := os.Rename(filepath.Join(dir, "inbox"), filepath.Join(dir, "away")); err != nil {
			t.Fatal(err)
		}
		time.Sleep(2 * time.Second)
		if _, err := s.Claim(t.Context(), 1); pipeline.KindOf(err) != pipeline.Retry {
			t.Errorf("without the folder: %v, want an error that is worth another try", err)
		}
		if err := os.Rename(filepath.Join(dir, "away"), filepath.Join(dir, "inbox")); err != nil {
			t.Fatal(err)
		}
		put(t, dir, "inbox/b", "2")
		want(t, "after it", all(t, s), "inbox/b=2")
		mustClose(t, s)
	})
}

func TestRefused(t *testing.T) {
	dir := t.TempDir()
	put(t, dir, "file", "")
	for url, o := range map[string]pipeline.QueueOptions{
		"dir:":                {},
		"dir:in?glob=[":       {},
		"dir:in?move=.":       {},
		"dir:in?failed=../in": {},
		"dir:in?poll=1ms":     {},
		"dir:in?poll=soon":    {},
		"dir:in?mov=done":     {},
		"dir:in":              {Create: true},
	} {
		o.Dir = dir
		if err := Driver().Check(url, o); err == nil {
			t.Errorf("%s: accepted", url)
		}
	}
	for _, url := range []string{"dir:none", "dir:file"} {
		if s, err := Driver().Open(context.Background(), url, pipeline.QueueOptions{Dir: dir}); !errors.Is(err, pipeline.ErrNoQueue) || s != nil {
			t.Errorf("%s: opened, error %v", url, err)
		}
	}
	text := `{"waybill":"checkpoint/1","input":"dir:.?glob=*","format":"live"}` + "\n" + `{"did":"end","id":"x","result":"succeeded","data":{"name":"x"}}` + "\n"
	put(t, dir, "ckpt", text)
	if _, err := Driver().Open(context.Background(), "dir:.", pipeline.QueueOptions{Dir: dir, Checkpoint: "ckpt"}); pipeline.CodeOf(err) != "bad-checkpoint" {
		t.Errorf("error %v, want bad-checkpoint", err)
	}
}
