package stdin

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"
	"testing/iotest"
	"testing/synctest"

	"github.com/google/go-cmp/cmp"
	"github.com/waybill-dev/waybill/pipeline"
	"github.com/waybill-dev/waybill/stages/claim/internal/local/localtest"
	"go.uber.org/goleak"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

func mustOpen(t *testing.T, url string, o pipeline.QueueOptions) pipeline.Source {
	t.Helper()
	s, err := Driver().Open(t.Context(), url, o)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func TestExercise(t *testing.T) {
	localtest.Exercise(t, func(t *testing.T, _ string) pipeline.Source {
		return mustOpen(t, "stdin:", pipeline.QueueOptions{Stdin: strings.NewReader("{\"id\":\"a\"}\n{\"id\":\"b\"}\n")})
	})
}

// all claims and ends everything, and returns ids and bodies.
func all(t *testing.T, s pipeline.Source) (out []string) {
	t.Helper()
	for {
		items, err := s.Claim(t.Context(), 3)
		if errors.Is(err, io.EOF) {
			return out
		}
		if err != nil {
			t.Fatal(err)
		}
		for _, it := range items {
			r := pipeline.Succeeded
			if it.Condemned != nil {
				r = pipeline.Dead
			}
			out = append(out, fmt.Sprintf("%s %s %s", it.ID, it.Input, r))
			localtest.End(t, s, it, r)
		}
		synctest.Wait()
	}
}

func TestFormats(t *testing.T) {
	for name, tc := range map[string]struct {
		url, key, in string
		want         []string
	}{
		"items": {"stdin:", "", "{\"id\":\"a\",\"body\":{\"n\":1}}\n\n{\"x\":1}\n{\"body\":2}", []string{
			`a {"n":1} succeeded`, `stdin:3 {"x":1} dead`, `stdin:4 2 succeeded`}},
		"lines": {"stdin:?format=lines", "", "one\r\n\n<two> \"x\"\n\xff\n", []string{
			`stdin:1 "one" succeeded`, `stdin:3 "\u003ctwo\u003e \"x\"" succeeded`, "stdin:4 \xff dead"}},
		"jsonl": {"stdin:", "jsonl", "[1]\nnope\n", []string{`stdin:1 [1] succeeded`, `stdin:2 nope dead`}},
		"empty": {"stdin:", "", "", nil},
		"same id": {"stdin:", "", "{\"id\":\"a\"}\n{\"id\":\"a\"}\n{\"id\":\"b\",\"idempotencyKey\":\"k\"}\n{\"id\":\"c\",\"idempotencyKey\":\"k\"}\n",
			[]string{"a  succeeded", `stdin:2 {"id":"a"} dead`, "b  succeeded"}},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				s := mustOpen(t, tc.url, pipeline.QueueOptions{Format: tc.key, Stdin: strings.NewReader(tc.in)})
				if n, _, err := s.Pending(t.Context()); n < 1 || err != nil {
					t.Errorf("pending %d, error %v before the end is known", n, err)
				}
				if d := cmp.Diff(tc.want, all(t, s)); d != "" {
					t.Errorf("(-want +got):\n%s", d)
				}
				if n, _, err := s.Pending(t.Context()); n != 0 || err != nil {
					t.Errorf("pending %d at the end, error %v", n, err)
				}
				if err := localtest.Close(s); err != nil {
					t.Error(err)
				}
			})
		})
	}
}

// counter counts the bytes that were read.
type counter struct {
	io.Reader
	n atomic.Int64
}

func (c *counter) Read(b []byte) (int, error) {
	n, err := c.Reader.Read(b)
	c.n.Add(int64(n))
	return n, err
}

// A producer that is faster than the pipeline waits: what is read is what is
// claimed and a bound more. Nothing is read before the first claim.
func TestBackPressure(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		const lines, width = 10_000, 1000
		line := `{"body":"` + strings.Repeat("x", width-12) + "\"}\n"
		in := &counter{Reader: iotest.OneByteReader(strings.NewReader(strings.Repeat(line, lines)))}
		s := mustOpen(t, "stdin:", pipeline.QueueOptions{Stdin: in})
		synctest.Wait()
		if in.n.Load() != 0 {
			t.Errorf("%d bytes were read before the first claim", in.n.Load())
		}
		if items, err := s.Claim(t.Context(), 1); err != nil {
			t.Fatal(len(items), err)
		}
		synctest.Wait()
		held := len(localtest.Claim(t, s, 5))
		synctest.Wait()
		if most := int64((held + ahead + 2) * len(line)); in.n.Load() > most {
			t.Errorf("%d bytes were read for %d items, want at most %d", in.n.Load(), held, most)
		}
		if err := localtest.Close(s); err != nil {
			t.Error(err)
		}
	})
}

// What is dead or has not ended is told, for nothing keeps it.
func TestNothingIsLostSilently(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var log bytes.Buffer
		s := mustOpen(t, "stdin:", pipeline.QueueOptions{Stdin: strings.NewReader("{\"id\":\"a\"}\n{\"id\":\"b\"}\n{\"id\":\"c\"}\n"),
			Log: slog.New(slog.NewTextHandler(&log, nil))})
		_, _ = s.Claim(t.Context(), 1)
		synctest.Wait()
		items := localtest.Claim(t, s, 3)
		localtest.End(t, s, items[0], pipeline.Dead)
		localtest.End(t, s, items[1], pipeline.Succeeded)
		if err := localtest.Close(s); err != nil {
			t.Error(err)
		}
		for _, want := range []string{`item=a`, `cause of death`, `is lost`, `item=c`, "items=[a]"} {
			if !strings.Contains(log.String(), want) {
				t.Errorf("the log does not say %q:\n%s", want, &log)
			}
		}
		if strings.Contains(log.String(), "item=b") {
			t.Errorf("b succeeded:\n%s", &log)
		}
	})
}

func TestDeadLetters(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		dir := t.TempDir()
		s := mustOpen(t, "stdin:?dead=failed.jsonl", pipeline.QueueOptions{Dir: dir, Stdin: strings.NewReader("{\"id\":\"a\",\"body\":7}\n")})
		localtest.End(t, s, localtest.Claim(t, s, 1)[0], pipeline.Dead)
		if err := localtest.Close(s); err != nil {
			t.Error(err)
		}
		text, err := os.ReadFile(filepath.Join(dir, "failed.jsonl"))
		if err != nil {
			t.Fatal(err)
		}
		if it, err := pipeline.ParseItem(bytes.TrimSpace(text)); err != nil || it.ID != "a" || string(it.Body) != "7" {
			t.Errorf("the dead letter %s: %v", text, err)
		}
	})
}

// An error of the input stays: the rest was never read, so there is no end.
func TestBrokenInput(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		in := io.MultiReader(strings.NewReader("{\"id\":\"a\"}\n"), iotest.ErrReader(errors.New("unplugged")))
		s := mustOpen(t, "stdin:", pipeline.QueueOptions{Stdin: in})
		localtest.End(t, s, localtest.Claim(t, s, 1)[0], pipeline.Succeeded)
		for range 3 {
			synctest.Wait()
			if _, err := s.Claim(t.Context(), 1); pipeline.CodeOf(err) != "bad-input" || !strings.Contains(err.Error(), "unplugged") {
				t.Errorf("error %v, want that the input is broken", err)
			}
		}
		if err := localtest.Close(s); err != nil {
			t.Error(err)
		}
	})
}

func TestRefused(t *testing.T) {
	for url, o := range map[string]pipeline.QueueOptions{
		"stdin:x":                {},
		"stdin:?format=csv":      {},
		"stdin:?format=lines":    {Format: "jsonl"},
		"stdin:?frmat=lines":     {},
		"stdin:?dead=":           {},
		"stdin:?dead=a&dead=b":   {},
		"stdin:?format":          {},
		"stdin:":                 {Create: true},
		"stdin:?format=lines%zz": {},
	} {
		if err := Driver().Check(url, o); err == nil {
			t.Errorf("%s: accepted", url)
		}
		if s, err := Driver().Open(t.Context(), url, o); err == nil || s != nil {
			t.Errorf("%s: opened, error %v", url, err)
		}
	}
}
