package host

import (
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/waybill-dev/waybill/plugins/internal/k1"
	w "github.com/waybill-dev/waybill/plugins/internal/wasmtest"
)

func replayed(t *testing.T, o Options, value string) Trace {
	t.Helper()
	trace, err := Replay(t.Context(), o, k1.Record{Value: []byte(value)})
	if err != nil {
		t.Fatal(err)
	}
	return trace
}

// deepCalls adds functions that call the next one twice, 40 deep, without any
// loop: 2^40 calls. It returns the first one's index.
func deepCalls(m *w.Module, index uint32) {
	const depth = 40
	for n := range uint32(depth) {
		if n == depth-1 {
			m.Func("", nil, nil, 0)
			return
		}
		m.Func("", nil, nil, 0, w.Call(index+n+1), w.Call(index+n+1))
	}
}

func TestReplay(t *testing.T) {
	short := func(g w.Guest) Options {
		o := options(g.Bytes())
		o.Limits.Timeout = 300 * time.Millisecond
		return o
	}
	trap := replayed(t, options(w.Guest{Run: [][]byte{w.Unreachable()}}.Bytes()), "x")
	if trap.Cause != "trap: unreachable" || len(trap.Frames) != 1 || trap.Frames[0].Func != "$3" || len(trap.Frames[0].Source) != 0 {
		t.Errorf("trap: %+v", trap)
	}
	if got := replayed(t, options(w.Guest{Answer: w.KeepFirst()}.Bytes()), "x"); got.Cause != "" || len(got.Frames) != 0 {
		t.Errorf("a record that goes through: %+v", got)
	}
	if got := replayed(t, options(w.Guest{Init: [][]byte{w.Const64(-3)}}.Bytes()), "x"); !strings.Contains(got.Cause, "refused its configuration") {
		t.Errorf("k1_init: %+v", got)
	}
	if got := replayed(t, short(w.Guest{Run: [][]byte{w.Forever(), w.Packed(0, 0)}}), "x"); !strings.Contains(got.Cause, "ran longer than 300ms") {
		t.Errorf("a loop: %+v", got)
	}
	// Four functions come before those that Then adds.
	deep := w.Guest{Run: [][]byte{w.Call(4), w.Packed(w.AnswerAt, 16)}, Then: func(m *w.Module) { deepCalls(m, 4) }}
	if got := replayed(t, short(deep), "x"); !strings.Contains(got.Cause, "ran longer than") || len(got.Frames) < 2 {
		t.Errorf("recursion without a loop: %+v", got)
	}
	bomb := w.Guest{Run: [][]byte{w.Const(60000), w.Grow(), w.Drop(), w.Unreachable()}}
	if got := replayed(t, options(bomb.Bytes()), "x"); !strings.Contains(got.Cause, "bytes of memory") {
		t.Errorf("memory: %+v", got)
	}
}

// TestReplayIsBounded: neither a name section that announces four billion names
// nor a table without a maximum takes the host's memory.
func TestReplayIsBounded(t *testing.T) {
	g := w.Guest{
		Run: [][]byte{w.NoFunc(), w.Const(1 << 28), w.GrowTable(), w.Negative(), w.If(w.Unreachable()), w.Packed(w.AnswerAt, 16)},
		Then: func(m *w.Module) {
			m.Table(1)
			m.Custom("name", []byte{1, 5, 0xff, 0xff, 0xff, 0xff, 0x0f})
		},
	}
	if got := replayed(t, options(g.Bytes()), "x"); got.Cause != "trap: unreachable" {
		t.Errorf("%+v", got)
	}
}

func TestReplayRefuses(t *testing.T) {
	for name, wasm := range map[string][]byte{"no module": []byte("x"), "no dialect": new(w.Module).Bytes()} {
		if _, err := Replay(t.Context(), options(wasm), k1.Record{}); err == nil {
			t.Errorf("%s: replayed", name)
		}
	}
}

// The modules with debug information that ship inside wazero's own.
func TestReplayNamesTheSource(t *testing.T) {
	out, err := exec.Command("go", "list", "-m", "-f", "{{.Dir}}", "github.com/tetratelabs/wazero").Output()
	if err != nil {
		t.Fatal(err)
	}
	dir := filepath.Join(strings.TrimSpace(string(out)), "internal/testing/dwarftestdata/testdata")
	for lang, want := range map[string][]string{
		"tinygo": {"runtime_tinygowasm.go:70:6", "main.go:16:7", "main.go:12:3", "main.go:8:3", "main.go:4:3"},
		"zig":    {"builtin.zig:792:17", "main.zig:10:5 (inlined)", "main.zig:6:5 (inlined)", "main.zig:2:5"},
	} {
		wasm, err := os.ReadFile(filepath.Join(dir, lang, "main.wasm"))
		if err != nil {
			t.Fatal(err)
		}
		o := options(wasm)
		o.Limits.Timeout, o.Limits.Memory = time.Minute, 64<<20
		trace := replayed(t, o, "")
		var got []string
		for _, f := range trace.Frames {
			for _, s := range f.Source {
				got = append(got, filepath.Base(s))
			}
		}
		if trace.Cause != "trap: unreachable" || len(got) < len(want) || !slices.Equal(got[:len(want)], want) {
			t.Errorf("%s: %s at %q, want %q", lang, trace.Cause, got, want)
		}
	}
}
