package host

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/waybill-dev/waybill/pipeline"
	"github.com/waybill-dev/waybill/plugins/internal/capability"
	"github.com/waybill-dev/waybill/plugins/internal/k1"
	w "github.com/waybill-dev/waybill/plugins/internal/wasmtest"
)

// Sizes of a prober's buffers, and where its answer has what.
const (
	probeCap  = 64
	probeRest = 4096
	codeAt    = w.AnswerAt + k1.OutHeaderSize + k1.OpSize
	bufAt     = codeAt + 8
	restAt    = bufAt + probeCap
	restBufAt = restAt + 8
	probeEnd  = restBufAt + probeRest
)

var (
	store64 = []byte{0x37, 0x00, 0x00} // i64.store of the value on the stack to the address below it
	sum     = []byte{0x6a}
)

// prober is a guest that calls a function of kernel/1 with a record's value and
// a buffer of probeCap bytes, then rest from offset from on. It answers with both
// results and both buffers, or traps at the end if the record has a key.
func prober(function string, from int32) w.Guest {
	field := func(at uint32) []byte { return append(w.Local(0), w.LoadAt(k1.HeaderSize+at)...) }
	i32s := []byte{w.I32, w.I32, w.I32, w.I32}
	frame := binary.LittleEndian.AppendUint32(nil, 1)
	for _, n := range []uint32{probeEnd - w.AnswerAt, 0, 0, 0, uint32(k1.Put), 0, 0, codeAt - w.AnswerAt, probeEnd - codeAt} {
		frame = binary.LittleEndian.AppendUint32(frame, n)
	}
	return w.Guest{
		Import: func(m *w.Module) {
			m.Import("kernel/1", function, i32s, []byte{w.I64})
			m.Import("kernel/1", "rest", i32s[:3], []byte{w.I64})
		},
		Answer: frame,
		Run: append([][]byte{
			w.Const(codeAt), w.Local(0), field(8), sum, field(12), w.Const(bufAt), w.Const(probeCap), w.Call(0), store64,
			w.Const(restAt), w.Const(from), w.Const(restBufAt), w.Const(probeRest), w.Call(1), store64,
		}, probeEnds()...),
	}
}

// probeEnds are the last instructions of a prober.
func probeEnds() [][]byte {
	return [][]byte{w.Local(0), w.LoadAt(k1.HeaderSize + 4), w.If(w.Unreachable()), w.Packed(w.AnswerAt, probeEnd-w.AnswerAt)}
}

// without returns a prober's instructions without its last ones.
func without(ends [][]byte, run [][]byte) [][]byte {
	return append([][]byte{}, run[:len(run)-len(ends)]...)
}

// probe is what a prober saw.
type probe struct {
	code      int64
	buf, rest string
}

func probed(t *testing.T, p *Pool, value string) probe {
	t.Helper()
	ops, err := p.Run(t.Context(), nil, 0, batch(value))
	if err != nil {
		t.Fatal(err)
	}
	return readProbe(t, ops)
}

func readProbe(t *testing.T, ops []k1.Op) probe {
	t.Helper()
	if len(ops) != 1 || len(ops[0].Value) != probeEnd-codeAt {
		t.Fatalf("%d operations", len(ops))
	}
	v := ops[0].Value
	n := binary.LittleEndian.Uint64(v[restAt-codeAt:])
	buf := strings.TrimRight(string(v[bufAt-codeAt:restAt-codeAt]), "\x00")
	return probe{int64(binary.LittleEndian.Uint64(v)), buf, string(v[restBufAt-codeAt:][:n])}
}

// granted makes a pool over a prober with grants.
func granted(t *testing.T, function string, from int32, grants capability.Set) *Pool {
	t.Helper()
	o := options(prober(function, from).Bytes())
	o.Grants = grants
	return pool(t, o)
}

// askable is a pool over a prober of http that may reach one handler.
func askable(t *testing.T, h http.HandlerFunc, o Options, timeout time.Duration) (p *Pool, question string) {
	t.Helper()
	server := httptest.NewServer(h)
	t.Cleanup(server.Close)
	client, err := capability.NewHTTP(capability.HTTPConfig{Hosts: []string{strings.TrimPrefix(server.URL, "http://")}, Private: true, Timeout: timeout})
	if err != nil {
		t.Fatal(err)
	}
	o.Grants.HTTP = client // the kernel closes it
	return pool(t, o), request(server.URL + "/a")
}

func request(url string) string {
	head := fmt.Sprintf(`{"url":%q}`, url)
	return string(binary.LittleEndian.AppendUint32(nil, uint32(len(head)))) + head
}

// TestRequestsAreNotRepeatedForOthersPoison: each record of a batch asks once.
func TestRequestsAreNotRepeatedForOthersPoison(t *testing.T) {
	var asked atomic.Int64
	p, question := askable(t, func(http.ResponseWriter, *http.Request) { asked.Add(1) }, options(prober("http", 0).Bytes()), time.Minute)
	records := batch(question, question, question, question)
	records[1].Key = []byte("traps")
	for i, out := range p.RunAll(t.Context(), 0, records) {
		if (out.Err != nil) != (i == 1) {
			t.Errorf("record %d: %v", i, out.Err)
		}
	}
	if n := asked.Load(); n != 4 {
		t.Errorf("%d requests for 4 records", n)
	}
}

func TestNothingIsGrantedByDefault(t *testing.T) {
	all := map[string]string{"http": request("http://example.com/"), "blob": string(pipeline.DigestOf(nil)), "secret": "token", "state_get": "key"}
	for function, question := range all {
		name := strings.TrimSuffix(function, "_get")
		if got := probed(t, granted(t, function, 0, capability.Set{}), question); got != (probe{-1, "", name + " is not granted"}) {
			t.Errorf("%s: %+v", function, got)
		}
	}
	if got := probed(t, granted(t, "state_put", 0, capability.Set{}), "key"); got.code != -1 {
		t.Errorf("state_put: %+v", got)
	}
}

func TestSecretsOfAKernel(t *testing.T) {
	long := strings.Repeat("0123456789", 10)
	grants := capability.Set{Secrets: map[string]string{"token": "abc", "long": long}}
	for _, tt := range []struct {
		name string
		from int32
		want probe
	}{
		{"token", 0, probe{3, "abc", "abc"}},
		{"token", 1, probe{3, "abc", "bc"}},
		{"token", 3, probe{3, "abc", ""}},
		{"token", -1, probe{3, "abc", ""}}, // as an unsigned number it lies far behind the end
		{"long", probeCap, probe{100, long[:probeCap], long[probeCap:]}},
		{"Token", 0, probe{-2, "", "no secret of that name"}},
		{"", 3, probe{-2, "", "secret of that name"}},
	} {
		if got := probed(t, granted(t, "secret", tt.from, grants), tt.name); got != tt.want {
			t.Errorf("%s from %d: %+v, want %+v", tt.name, tt.from, got, tt.want)
		}
	}
}

func TestBlobsOfAKernel(t *testing.T) {
	dir := t.TempDir()
	blobs := filepath.Join(dir, "blobs", "sha256")
	digest := pipeline.DigestOf([]byte("content"))
	if err := errors.Join(os.MkdirAll(blobs, 0o700), os.WriteFile(filepath.Join(blobs, digest.Hex()), []byte("content"), 0o600)); err != nil {
		t.Fatal(err)
	}
	for question, want := range map[string]probe{
		string(digest): {7, "content", "content"},
		string(pipeline.DigestOf([]byte("gone"))): {-2, "", "no content of that digest"},
		"../" + digest.Hex():                      {-4, "", "not a digest: want sha256: and 64 lower-case hex digits"},
	} {
		if got := probed(t, granted(t, "blob", 0, capability.Set{Blob: capability.NewBlob(dir, 0)}), question); got != want {
			t.Errorf("%s: %+v, want %+v", question, got, want)
		}
	}
	if got := probed(t, granted(t, "blob", 0, capability.Set{Blob: capability.NewBlob(dir, 6)}), string(digest)); got.code != -3 {
		t.Errorf("over the limit: %+v", got)
	}
}

func TestHTTPOfAKernel(t *testing.T) {
	body := strings.Repeat("body", 100)
	p, question := askable(t, func(w http.ResponseWriter, r *http.Request) {
		w.Header()["Date"] = nil
		fmt.Fprint(w, r.URL.Path, body)
	}, options(prober("http", 0).Bytes()), time.Minute)
	const head = `{"content-length":"402","content-type":"text/plain; charset=utf-8"}`
	got := probed(t, p, question)
	want := "\xc8\x00\x00\x00" + string(rune(len(head))) + "\x00\x00\x00" + head + "/a" + body
	if got.code != int64(len(want)) || got.rest != want || got.buf != want[:probeCap] {
		t.Errorf("got %+v\nwant %q", got, want)
	}
	if got := probed(t, p, request("http://example.com/")); got != (probe{-1, "", `host "example.com" is not granted`}) {
		t.Errorf("another host: %+v", got)
	}
	if got := probed(t, p, "nonsense"); got.code != -4 || !strings.Contains(got.rest, "a head of 1936617326 bytes in a request of 8") {
		t.Errorf("nonsense: %+v", got)
	}
}

// TestAWaitingKernelEnds with the caller's context, the time of the call, or the
// time of the grant, whatever the server does. The next call goes on.
func TestAWaitingKernelEnds(t *testing.T) {
	entered, release := make(chan struct{}, 8), make(chan struct{})
	handler := func(w http.ResponseWriter, r *http.Request) {
		entered <- struct{}{}
		select {
		case <-r.Context().Done():
		case <-release:
		}
	}
	o := options(prober("http", 0).Bytes())
	o.Limits.Timeout = time.Hour
	p, question := askable(t, handler, o, time.Hour)
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan error, 1)
	go func() {
		_, err := p.Run(ctx, nil, 0, batch(question))
		done <- err
	}()
	<-entered
	cancel()
	if err := <-done; !errors.Is(err, context.Canceled) || pipeline.KindOf(err) != pipeline.Cancelled {
		t.Errorf("cancelled: %v", err)
	}

	o.Limits.Timeout = 50 * time.Millisecond
	slow, question2 := askable(t, handler, o, time.Hour)
	_, err := slow.Run(t.Context(), nil, 0, batch(question2))
	failure(t, err, CodeTimeout)

	o.Limits.Timeout = time.Hour
	short, question3 := askable(t, handler, o, 50*time.Millisecond)
	if got := probed(t, short, question3); got != (probe{-4, "", "no answer in time"}) {
		t.Errorf("the grant's timeout: %+v", got)
	}

	close(release)
	if got := probed(t, p, question); got.code <= 0 {
		t.Errorf("the call after: %+v", got)
	}
}

// TestNothingIsSentThatIsNotPaid: neither without fuel nor with a bad buffer.
func TestNothingIsSentThatIsNotPaid(t *testing.T) {
	var asked atomic.Int32
	count := func(http.ResponseWriter, *http.Request) { asked.Add(1) }
	o := options(prober("http", 0).Bytes())
	o.Limits.Fuel = httpUnits - 1
	p, question := askable(t, count, o, time.Minute)
	_, err := p.Run(t.Context(), nil, 0, batch(question))
	failure(t, err, CodeFuel)

	g := prober("http", 0)
	g.Run = append([][]byte{w.Const(-8), w.Const(8), w.Const(bufAt), w.Const(probeCap), w.Call(0), w.Drop()}, g.Run...)
	for _, at := range []int{0, 2} { // the question, the buffer
		bad := g
		bad.Run = append([][]byte{}, g.Run...)
		bad.Run[0], bad.Run[2] = w.Const(0), w.Const(0)
		bad.Run[at] = w.Const(-4)
		p, _ = askable(t, count, options(bad.Bytes()), time.Minute)
		_, err = p.Run(t.Context(), nil, 0, batch(question))
		if f := failure(t, err, CodeTrap); !strings.Contains(f.Cause, "http: ") || !strings.Contains(f.Cause, "lie outside") {
			t.Errorf("cause %q", f.Cause)
		}
	}
	if asked.Load() > 0 {
		t.Errorf("%d requests were sent", asked.Load())
	}
}

// TestTheLastAnswerIsOfOneCall: an instance that is used again has none.
func TestTheLastAnswerIsOfOneCall(t *testing.T) {
	g := prober("secret", 0)
	const name, nowhere = 8 << 10, 16 << 10
	g.Run = append([][]byte{w.Const(codeAt), w.Const(0), w.Const(bufAt), w.Const(probeCap), w.Call(1), store64,
		w.Const(nowhere), w.Const(name), w.Const(3), w.Const(0), w.Const(0), w.Call(0), store64}, probeEnds()...)
	g.Then = func(m *w.Module) { m.Data(name, []byte("key")) }
	o := options(g.Bytes())
	o.Reuse = true
	o.Grants.Secrets = map[string]string{"key": "abc"}
	p := pool(t, o)
	for range 3 {
		if got := probed(t, p, ""); got.code != 0 || got.buf != "" {
			t.Errorf("before anything was asked: %+v", got)
		}
	}
}

// remembering is a prober of state_get that puts "seen" under the key that it
// asked for.
func remembering() w.Guest {
	const seen = 8 << 10
	g := prober("state_get", 0)
	ask := g.Import
	g.Import = func(m *w.Module) {
		ask(m)
		m.Import("kernel/1", "state_put", []byte{w.I32, w.I32, w.I32, w.I32}, []byte{w.I64})
	}
	g.Run = append(without(probeEnds(), g.Run), w.Local(0), w.Local(0), w.LoadAt(k1.HeaderSize+8), sum, w.Local(0), w.LoadAt(k1.HeaderSize+12),
		w.Const(seen), w.Const(4), w.Call(2), w.Drop())
	g.Run = append(g.Run, probeEnds()...)
	g.Then = func(m *w.Module) { m.Data(seen, []byte("seen")) }
	return g
}

// TestStateOfAKernel: it outlives calls and instances, belongs to one lane, and a
// call that fails leaves no trace, alone or in a batch that is bisected.
func TestStateOfAKernel(t *testing.T) {
	fresh, known := probe{-2, "", "no such key"}, probe{4, "seen", "seen"}
	for _, class := range []State{Pure, Lane} {
		o := options(remembering().Bytes())
		o.State, o.Grants.State = class, &capability.StateConfig{}
		p := NewPool(compile(t, o), 2)
		t.Cleanup(p.Close)
		see := func(lane int, key string, want probe) {
			t.Helper()
			ops, err := p.Run(t.Context(), nil, lane, batch(key))
			if err != nil {
				t.Fatal(err)
			}
			got := readProbe(t, ops)
			if got.code < 0 {
				got.buf = "" // the memory of a lane stays, with the value before
			}
			if got != want {
				t.Errorf("%s, lane %d: %q is %+v, want %+v", class, lane, key, got, want)
			}
		}
		see(0, "a", fresh)
		see(0, "a", known)
		see(1, "a", fresh)
		poison := k1.Record{Key: []byte("trap"), Value: []byte("b")}
		_, err := p.Run(t.Context(), nil, 0, []k1.Record{poison})
		failure(t, err, CodeTrap)
		out := p.RunAll(t.Context(), 0, []k1.Record{poison, {Value: []byte("c")}})
		if failure(t, out[0].Err, CodeTrap); out[1].Err != nil {
			t.Errorf("%s: the record beside the poison: %v", class, out[1].Err)
		}
		see(0, "b", fresh)
		see(0, "c", known)
		see(0, "a", known)
	}
}

func TestCapabilitiesCostFuel(t *testing.T) {
	spent := func(grants capability.Set, name string) int64 {
		k := compile(t, func() Options { o := options(prober("secret", 0).Bytes()); o.Grants = grants; return o }())
		i, err := k.Start(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		defer i.Close()
		if _, err := i.Run(t.Context(), nil, frame(t, name)); err != nil {
			t.Fatal(err)
		}
		return i.Fuel()
	}
	secrets := capability.Set{Secrets: map[string]string{"s": "12345678", "l": strings.Repeat("12345678", 100)}}
	small, large := spent(secrets, "s"), spent(secrets, "l")
	if small != spent(secrets, "s") {
		t.Error("the same call costs something else the second time")
	}
	if large-small != 2*99 { // once for the answer, once for what rest copies
		t.Errorf("792 bytes more cost %d units more", large-small)
	}
}
