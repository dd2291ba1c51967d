package wasi_test

import (
	"bytes"
	"context"
	"encoding/binary"
	"encoding/hex"
	"errors"
	"testing"

	"github.com/tetratelabs/wazero"
	"github.com/tetratelabs/wazero/api"
	"github.com/tetratelabs/wazero/sys"

	"github.com/waybill-dev/waybill/plugins/internal/module"
	"github.com/waybill-dev/waybill/plugins/internal/wasi"
	w "github.com/waybill-dev/waybill/plugins/internal/wasmtest"
)

// guest is a module that exports each WASI function under its own name, so that
// a test can call it from outside.
type guest struct {
	t   *testing.T
	m   api.Module
	ctx context.Context
}

func start(t *testing.T, world *wasi.World) *guest {
	t.Helper()
	ctx := context.Background()
	r := wazero.NewRuntimeWithConfig(ctx, wazero.NewRuntimeConfigInterpreter())
	t.Cleanup(func() { _ = r.Close(ctx) })
	if err := wasi.Instantiate(ctx, r); err != nil {
		t.Fatal(err)
	}
	i64 := []byte{w.I32, w.I64, w.I32}
	i32 := func(n int) []byte { return bytes.Repeat([]byte{w.I32}, n) }
	params := map[string][]byte{"clock_time_get": i64, "random_get": i32(2), "args_sizes_get": i32(2), "args_get": i32(2),
		"environ_sizes_get": i32(2), "fd_write": i32(4), "fd_read": i32(4), "fd_fdstat_get": i32(2), "fd_prestat_get": i32(2),
		"poll_oneoff": i32(4), "path_unlink_file": i32(3), "sock_shutdown": i32(2)}
	m, funcs := new(w.Module), map[string]uint32{}
	for name, p := range params {
		funcs[name] = m.Import(module.ImportWASI, name, p, []byte{w.I32})
	}
	exit := m.Import(module.ImportWASI, "proc_exit", []byte{w.I32}, nil)
	m.Memory(1)
	for name, p := range params {
		var body [][]byte
		for i := range p {
			body = append(body, w.Local(uint32(i)))
		}
		m.Func(name, p, []byte{w.I32}, 0, append(body, w.Call(funcs[name]))...)
	}
	m.Func("proc_exit", []byte{w.I32}, nil, 0, w.Local(0), w.Call(exit))
	mod, err := r.Instantiate(ctx, m.Bytes())
	if err != nil {
		t.Fatal(err)
	}
	return &guest{t, mod, context.WithValue(ctx, wasi.Key{}, world)}
}

// call returns the error number.
func (g *guest) call(name string, args ...uint64) uint64 {
	g.t.Helper()
	r, err := g.m.ExportedFunction(name).Call(g.ctx, args...)
	if err != nil {
		g.t.Fatal(err)
	}
	return r[0]
}

func (g *guest) bytes(at, n uint32) []byte {
	b, ok := g.m.Memory().Read(at, n)
	if !ok {
		g.t.Fatal("out of the memory")
	}
	return bytes.Clone(b)
}

func (g *guest) time(clock uint64) uint64 {
	g.t.Helper()
	if e := g.call("clock_time_get", clock, 1, 64); e != 0 {
		g.t.Fatalf("clock %d: error %d", clock, e)
	}
	return binary.LittleEndian.Uint64(g.bytes(64, 8))
}

func TestClocksStandAtTheFrame(t *testing.T) {
	world := &wasi.World{}
	g := start(t, world)
	world.Set(1_700_000_000_000_000_000, 0)
	if a, b := g.time(0), g.time(0); a != 1_700_000_000_000_000_000 || b != a {
		t.Errorf("real time %d, then %d", a, b)
	}
	if g.time(1) == 0 {
		t.Error("the monotonic clock is 0, which Go takes for no clock")
	}
	if e := g.call("clock_time_get", 9, 1, 64); e != 28 {
		t.Errorf("unknown clock: error %d, want EINVAL", e)
	}
}

func TestSleepingMovesTheClocksAndDoesNotWait(t *testing.T) {
	world := &wasi.World{}
	world.Set(1000, 0)
	g := start(t, world)
	before := g.time(1)
	sub := make([]byte, 48) // userdata 0, clock subscription
	binary.LittleEndian.PutUint32(sub[16:], 1)
	binary.LittleEndian.PutUint64(sub[24:], 3600e9)
	g.m.Memory().Write(256, sub)
	if e := g.call("poll_oneoff", 256, 512, 1, 128); e != 0 {
		t.Fatalf("error %d", e)
	}
	if n := binary.LittleEndian.Uint32(g.bytes(128, 4)); n != 1 {
		t.Errorf("%d events", n)
	}
	if g.time(1)-before != 3600e9 || g.time(0) != 1000+3600e9 {
		t.Errorf("slept %d, real time %d", g.time(1)-before, g.time(0))
	}
	world.Set(1000, 0)
	if g.time(1) != before {
		t.Error("the next frame does not start at the same monotonic time")
	}
}

func TestRandomnessIsTheSeeds(t *testing.T) {
	world := &wasi.World{}
	g := start(t, world)
	read := func(seed uint64, n uint64) string {
		world.Set(0, seed)
		if e := g.call("random_get", 1024, n); e != 0 {
			t.Fatalf("error %d", e)
		}
		return hex.EncodeToString(g.bytes(1024, uint32(n)))
	}
	// The first two numbers of SplitMix64 for seed 0, from its reference code:
	// e220a8397b1dcdaf 6e789e6aa1b965f4.
	if got := read(0, 16); got != "afcd1d7b39a820e2f465b9a16a9e786e" {
		t.Errorf("seed 0 gives %s", got)
	}
	seven, again, eight := read(7, 5), read(7, 5), read(8, 5)
	if seven != again || seven == eight {
		t.Error("randomness is not a function of the seed")
	}
}

func TestArgumentsAndStdio(t *testing.T) {
	var out, errs bytes.Buffer
	g := start(t, &wasi.World{Args: []string{"prog", "-v"}, Stdin: bytes.NewReader([]byte("input")), Stdout: &out, Stderr: &errs})
	g.call("args_sizes_get", 0, 4)
	if got := hex.EncodeToString(g.bytes(0, 8)); got != "0200000008000000" {
		t.Errorf("sizes %s", got)
	}
	g.call("args_get", 16, 32)
	if got := string(g.bytes(32, 8)); got != "prog\x00-v\x00" {
		t.Errorf("args %q", got)
	}
	g.m.Memory().Write(200, []byte{44, 1, 0, 0, 16, 0, 0, 0}) // iovec: 16 bytes at 300
	if e := g.call("fd_read", 0, 200, 1, 208); e != 0 || string(g.bytes(300, 5)) != "input" || g.bytes(208, 1)[0] != 5 {
		t.Errorf("fd_read: %d %q", e, g.bytes(300, 5))
	}
	if e := g.call("fd_read", 0, 200, 1, 208); e != 0 || g.bytes(208, 1)[0] != 0 {
		t.Error("no end of file")
	}
	g.call("fd_write", 1, 200, 1, 208)
	g.call("fd_write", 2, 200, 1, 208)
	if out.Len() != 16 || errs.Len() != 16 {
		t.Errorf("%d and %d bytes written", out.Len(), errs.Len())
	}
}

func TestWhatIsNotOfferedSaysSo(t *testing.T) {
	g := start(t, &wasi.World{})
	tests := []struct {
		name string
		args []uint64
		want uint64
	}{
		{"path_unlink_file", []uint64{3, 0, 0}, 52},
		{"sock_shutdown", []uint64{3, 0}, 52},
		{"fd_prestat_get", []uint64{3, 0}, 8},
		{"fd_write", []uint64{3, 0, 0, 0}, 8},
		{"fd_write", []uint64{1, 0, 0, 0}, 8}, // no stdout in this world
		{"fd_read", []uint64{5, 0, 0, 0}, 8},
		{"random_get", []uint64{65535, 2}, 21},
		{"args_sizes_get", []uint64{65536, 0}, 21},
		{"fd_fdstat_get", []uint64{7, 0}, 8},
		{"poll_oneoff", []uint64{0, 0, 0, 0}, 28},
		{"poll_oneoff", []uint64{65530, 0, 1, 0}, 21},
	}
	for _, tt := range tests {
		if got := g.call(tt.name, tt.args...); got != tt.want {
			t.Errorf("%s%v: error %d, want %d", tt.name, tt.args, got, tt.want)
		}
	}
}

func TestExitIsAnError(t *testing.T) {
	g := start(t, &wasi.World{})
	_, err := g.m.ExportedFunction("proc_exit").Call(g.ctx, 3)
	var exit *sys.ExitError
	if !errors.As(err, &exit) || exit.ExitCode() != 3 {
		t.Errorf("got %v", err)
	}
}
