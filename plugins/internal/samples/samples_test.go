package samples_test

import (
	"errors"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"github.com/waybill-dev/waybill/pipeline"
	"github.com/waybill-dev/waybill/plugins/internal/host"
	"github.com/waybill-dev/waybill/plugins/internal/k1"
	"github.com/waybill-dev/waybill/plugins/internal/manifest"
	"github.com/waybill-dev/waybill/plugins/internal/samples"
	w "github.com/waybill-dev/waybill/plugins/internal/wasmtest"
)

func put(value string) manifest.Want { return manifest.Want{Op: "put", Value: value} }

func TestCompare(t *testing.T) {
	ports := []string{"main", "side"}
	long := strings.Repeat("x", 100)
	for _, tt := range []struct {
		name string
		want manifest.Sample
		got  samples.Answer
		says []string // none: equal
	}{
		{"equal", manifest.Sample{Want: []manifest.Want{put("a")}}, samples.Answer{Want: []manifest.Want{put("a")}, Fuel: 7}, nil},
		{"dropped", manifest.Sample{}, samples.Answer{}, nil},
		{"fuel", manifest.Sample{Fuel: 6}, samples.Answer{Fuel: 7}, []string{"fuel: want 6, got 7"}},
		{"the first port by name", manifest.Sample{Want: []manifest.Want{{Op: "keep", Port: "main"}}}, samples.Answer{Want: []manifest.Want{{Op: "keep"}}}, nil},
		{"another port", manifest.Sample{Want: []manifest.Want{{Op: "keep"}}}, samples.Answer{Want: []manifest.Want{{Op: "keep", Port: "side"}}}, []string{`port: want "main", got "side"`}},
		{"another operation", manifest.Sample{Want: []manifest.Want{{Op: "slice", Value: "a"}}}, samples.Answer{Want: []manifest.Want{put("a")}}, []string{"operation 1, put: want slice"}},
		{"another key", manifest.Sample{Want: []manifest.Want{{Op: "put", Key: "k"}}}, samples.Answer{Want: []manifest.Want{put("")}}, []string{`key: want "k", got ""`}},
		{"bytes of text", manifest.Sample{Want: []manifest.Want{put("aä1")}}, samples.Answer{Want: []manifest.Want{put("aä2")}},
			[]string{"byte 3 differs (want 4 bytes, got 4)\n  want \"aä1\"\n  got  \"aä2\"\n          ^"}},
		{"bytes far inside", manifest.Sample{Want: []manifest.Want{put(long + "1" + long)}}, samples.Answer{Want: []manifest.Want{put(long + "2" + long)}},
			[]string{"byte 100 differs", `..."xxx`, `1xxx`, `"...`}},
		{"no text", manifest.Sample{Want: []manifest.Want{{Op: "put", Value64: []byte{0xff, 1}}}}, samples.Answer{Want: []manifest.Want{{Op: "put", Value64: []byte{0xff, 2}}}},
			[]string{"want ff01\n", "got  ff02\n         ^"}},
		{"shorter", manifest.Sample{Want: []manifest.Want{put("ab")}}, samples.Answer{Want: []manifest.Want{put("a")}}, []string{"byte 1 differs (want 2 bytes, got 1)"}},
		{"one more", manifest.Sample{Want: []manifest.Want{put("a")}}, samples.Answer{Want: []manifest.Want{put("a"), put("b")}}, []string{"want 1 operations, got 2", `the next is put "b"`}},
		{"one less", manifest.Sample{Want: []manifest.Want{put("a"), put("b")}}, samples.Answer{Want: []manifest.Want{put("a")}}, []string{"want 2 operations, got 1"}},
		{"dropped by mistake", manifest.Sample{Want: []manifest.Want{put("a")}}, samples.Answer{}, []string{"want 1 operations, but it was dropped"}},
		{"any message", manifest.Sample{Error: &manifest.WantError{Kind: "retry"}}, samples.Answer{Error: &manifest.WantError{Message: "later", Kind: "retry"}}, nil},
		{"another kind", manifest.Sample{Error: &manifest.WantError{}}, samples.Answer{Error: &manifest.WantError{Kind: "skip"}}, []string{"want permanent, got skip"}},
		{"another message", manifest.Sample{Error: &manifest.WantError{Message: "no"}}, samples.Answer{Error: &manifest.WantError{Message: "nope", Kind: "permanent"}}, []string{"message:", "byte 2 differs"}},
		{"no failure", manifest.Sample{Error: &manifest.WantError{}}, samples.Answer{Want: []manifest.Want{{Op: "keep"}}}, []string{"want a failure (permanent), but it answered with keep"}},
		{"a failure", manifest.Sample{}, samples.Answer{Error: &manifest.WantError{Message: "no"}}, []string{`it should not fail: it failed (permanent): "no"`}},
		{"a trap", manifest.Sample{Error: &manifest.WantError{}}, samples.Answer{Failure: errors.New("trap: unreachable")}, []string{"no answer: trap: unreachable"}},
	} {
		got := samples.Compare(&tt.want, tt.got, ports)
		if len(tt.says) == 0 && got != "" {
			t.Errorf("%s: %s", tt.name, got)
		}
		for _, says := range tt.says {
			if !strings.Contains(got, says) {
				t.Errorf("%s: got\n%s\nwant\n%s", tt.name, got, says)
			}
		}
	}
}

func TestSame(t *testing.T) {
	a := samples.Answer{Want: []manifest.Want{put("a")}, Fuel: 1}
	if d := samples.Same(a, a); d != "" {
		t.Error(d)
	}
	trap, exit := samples.Answer{Failure: errors.New("trap")}, samples.Answer{Failure: errors.New("exit")}
	if d := samples.Same(trap, trap); d != "" {
		t.Error(d)
	}
	failed := samples.Answer{Error: &manifest.WantError{Message: "m", Kind: "retry"}, Fuel: 1}
	for want, pair := range map[string][2]samples.Answer{
		"fuel: first 1, then 2":              {a, {Want: a.Want, Fuel: 2}},
		"byte 0 differs":                     {a, {Want: []manifest.Want{put("b")}, Fuel: 1}},
		"first trap, then exit":              {trap, exit},
		"then trap":                          {a, trap},
		`then it failed (retry): "m"`:        {a, failed},
		`first it failed (retry): "m", then`: {failed, {Error: &manifest.WantError{Message: "n", Kind: "retry"}, Fuel: 1}},
	} {
		if d := samples.Same(pair[0], pair[1]); !strings.Contains(d, want) {
			t.Errorf("got %q, want %q", d, want)
		}
	}
}

func kernel(t *testing.T, wasm []byte) *host.Kernel {
	t.Helper()
	k, err := host.New(t.Context(), host.Options{Name: "k", Digest: pipeline.DigestOf(wasm), WASM: wasm, Config: []byte("{}"),
		Limits: host.Limits{Memory: 1 << 20, Timeout: time.Second, Output: 1 << 16}, Log: slog.New(slog.DiscardHandler)})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := k.Close(t.Context()); err != nil {
			t.Error(err)
		}
	})
	return k
}

// failing is an out frame in which record 0 fails for another attempt.
func failing() []byte {
	frame := w.KeepFirst()
	frame[4] += 2                             // total
	frame[16+4], frame[16+6] = 3, k1.ErrRetry // ERR, port
	frame[16+16], frame[16+20] = byte(40), 2  // value
	return append(frame, "no"...)
}

func TestRun(t *testing.T) {
	for _, tt := range []struct {
		name  string
		guest w.Guest
		want  samples.Answer
		fails string
	}{
		{"keep", w.Guest{Answer: w.KeepFirst()}, samples.Answer{Want: []manifest.Want{{Op: "keep"}}}, ""},
		{"drop", w.Guest{}, samples.Answer{}, ""},
		{"retry", w.Guest{Answer: failing()}, samples.Answer{Error: &manifest.WantError{Message: "no", Kind: "retry"}}, ""},
		{"trap", w.Guest{Run: [][]byte{w.Unreachable()}}, samples.Answer{}, "unreachable"},
	} {
		k := kernel(t, tt.guest.Bytes())
		a, err := samples.RunFresh(t.Context(), k, nil, samples.Record(&manifest.Sample{Value: "v", Meta: map[string]string{"a": "b"}}))
		if err != nil {
			t.Fatal(err)
		}
		if a.Fuel <= 0 {
			t.Errorf("%s: fuel %d", tt.name, a.Fuel)
		}
		if tt.fails != "" && (a.Failure == nil || !strings.Contains(a.Failure.Error(), tt.fails)) || tt.fails == "" && a.Failure != nil {
			t.Errorf("%s: %v", tt.name, a.Failure)
		}
		if d := cmp.Diff(tt.want, a, cmpopts.IgnoreFields(samples.Answer{}, "Fuel", "Failure"), cmpopts.EquateEmpty()); d != "" {
			t.Errorf("%s: %s", tt.name, d)
		}
	}
}

func TestCases(t *testing.T) {
	dir := t.TempDir()
	write := func(name, text string) {
		t.Helper()
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	m := new(manifest.Manifest)
	if cases, err := samples.ReadCases(filepath.Join(dir, "none"), m); err != nil || len(cases) != 0 {
		t.Errorf("no folder: %v, %v", cases, err)
	}
	write("b.json", `{"name":"second","value":"<b>","fuel":3}`)
	write("a.json", `{"name":"first"}`)
	write("note.txt", "not a case")
	cases, err := samples.ReadCases(dir, m)
	if err != nil || len(cases) != 2 || cases[0].Name != "first" || cases[1].Name != "second" {
		t.Fatalf("%+v, %v", cases, err)
	}
	c := cases[1]
	samples.Answer{Error: &manifest.WantError{Message: "<no>", Kind: "permanent"}, Fuel: 9}.Into(&c.Sample)
	if changed, err := c.Save(); err != nil || !changed {
		t.Errorf("%v, %v", changed, err)
	}
	if changed, err := c.Save(); err != nil || changed {
		t.Errorf("saved again: %v, %v", changed, err)
	}
	got, err := os.ReadFile(c.File)
	want := "{\n  \"name\": \"second\",\n  \"value\": \"<b>\",\n  \"error\": {\n    \"message\": \"<no>\"\n  },\n  \"fuel\": 9\n}\n"
	if err != nil || string(got) != want {
		t.Errorf("%s, %v, want %s", got, err, want)
	}
	// A sample that does not look at fuel does not begin to.
	first := cases[0]
	samples.Answer{Want: []manifest.Want{put("x")}, Fuel: 9}.Into(&first.Sample)
	if first.Fuel != 0 || len(first.Want) != 1 {
		t.Errorf("%+v", first)
	}
	write("c.json", `{"name":"x","valve":1}`)
	write("d.json", `{`)
	if _, err := samples.ReadCases(dir, m); err == nil || !strings.Contains(err.Error(), "c.json:1:13: valve") || !strings.Contains(err.Error(), "d.json:1:1: ") {
		t.Errorf("bad cases: %v", err)
	}
}
