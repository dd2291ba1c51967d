package plugins

import (
	"context"
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"hash"
	"log/slog"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strconv"
	"testing"
	"time"

	"github.com/waybill-dev/waybill/pipeline"
	"github.com/waybill-dev/waybill/plugins/internal/host"
	"github.com/waybill-dev/waybill/plugins/internal/k1"
)

// envSoakItems is how many items the soak sends through each kernel; `make
// soak` says 100000.
const envSoakItems = "WAYBILL_SOAK_ITEMS"

// shortSoak is enough to fill every limit of memory below several times if a
// call left its records behind.
const shortSoak = 2000

// envSoak makes the test binary a soak's process: the value is a soakSpec.
const envSoak = "WAYBILL_TEST_SOAK"

// soakSpec is the work of one process.
type soakSpec struct {
	Path, Cache string
	Items       int
	State       host.State
	Memory      uint64
}

// soakResult is what a process saw.
type soakResult struct {
	Digest string // of all operations
	Fuel   int64
	// Heap is the live heap of the host after a tenth of the items and at the
	// end.
	Heap [2]uint64
}

// TestSoak: two processes that send the same items through a kernel get the
// same bytes for the same fuel, and neither the guest nor the host grows. The
// guest's memory is watched with the state class "lane", where nothing puts it
// back: a kernel that kept records would run into its limit.
func TestSoak(t *testing.T) {
	t.Parallel()
	items := shortSoak
	if n, err := strconv.Atoi(os.Getenv(envSoakItems)); err == nil {
		items = n
	}
	for lang, memory := range map[string]uint64{"go": 16 << 20, "rust": 4 << 20, "c": 4 << 20, "assemblyscript": 4 << 20, "zig": 4 << 20} {
		t.Run(lang, func(t *testing.T) {
			path := filepath.Join("sdk", lang, "conform", "conform.wasm")
			if lang == "go" {
				path = built.path("conform.wasm")
			}
			if _, err := os.Stat(path); errors.Is(err, os.ErrNotExist) {
				t.Skipf("no golden module %s", path)
			}
			spec := soakSpec{Path: path, Cache: filepath.Join(built.cache, "kernels"), Items: items, State: host.Pure, Memory: memory}
			first, second := soak(t, spec), soak(t, spec)
			if first.Digest != second.Digest || first.Fuel != second.Fuel || first.Fuel == 0 {
				t.Errorf("two processes differ: %+v and %+v", first, second)
			}
			spec.State = host.Lane
			kept := soak(t, spec)
			if kept.Digest != first.Digest {
				t.Errorf("the answers depend on earlier calls: %s, not %s", kept.Digest, first.Digest)
			}
			flat(t, first, heapNoise)
			flat(t, second, heapNoise)
			flat(t, kept, heapNoise+memory) // the host holds a copy of a lane's memory
			t.Logf("%d items: %s, %d units of fuel", items, first.Digest[:16], first.Fuel)
		})
	}
}

// heapNoise is how much of the host's heap may come and go.
const heapNoise = 1 << 20

func flat(t *testing.T, r soakResult, allowed uint64) {
	t.Helper()
	if r.Heap[1] > r.Heap[0]+allowed {
		t.Errorf("the host's heap grew from %d to %d bytes", r.Heap[0], r.Heap[1])
	}
}

// soak runs a process and waits for its result.
func soak(t *testing.T, spec soakSpec) (r soakResult) {
	t.Helper()
	b, err := json.Marshal(spec)
	if err != nil {
		t.Fatal(err)
	}
	cmd := exec.CommandContext(t.Context(), os.Args[0])
	cmd.Env = append(os.Environ(), envSoak+"="+string(b))
	cmd.Stderr = os.Stderr
	out, err := cmd.Output()
	if err != nil {
		t.Fatal(err)
	}
	if err := json.Unmarshal(out, &r); err != nil {
		t.Fatalf("%v in %s", err, out)
	}
	return r
}

// soakChild is the other process: it prints a soakResult.
func soakChild(text string) error {
	var spec soakSpec
	if err := json.Unmarshal([]byte(text), &spec); err != nil {
		return err
	}
	wasm, err := os.ReadFile(spec.Path)
	if err != nil {
		return err
	}
	ctx := context.Background()
	k, err := host.New(ctx, host.Options{
		Name: "soak", Digest: pipeline.DigestOf(wasm), WASM: wasm, Config: []byte(`{"prefix":"> "}`), State: spec.State,
		CacheDir: spec.Cache, Log: slog.New(slog.DiscardHandler),
		Limits: host.Limits{Memory: spec.Memory, Timeout: time.Minute, Output: 1 << 20, Log: 64 << 10},
	})
	if err != nil {
		return err
	}
	r, err := spec.run(ctx, k)
	if err := errors.Join(err, k.Close(ctx)); err != nil {
		return err
	}
	return json.NewEncoder(os.Stdout).Encode(r)
}

// soakBatch is how many items share a call.
const soakBatch = 4

func (spec soakSpec) run(ctx context.Context, k *host.Kernel) (r soakResult, err error) {
	p := host.NewPool(k, 1)
	defer p.Close()
	sum, budget := sha256.New(), new(pipeline.Budget)
	var records [soakBatch]k1.Record
	for first := 0; first < spec.Items; first += soakBatch {
		for i := range records {
			records[i] = soakRecord(uint64(first + i))
		}
		ops, err := p.Run(ctx, nil, 0, records[:], budget, budget, budget, budget)
		if err != nil {
			return r, fmt.Errorf("items from %d on: %w", first, err)
		}
		digestOps(sum, ops)
		if first == spec.Items/10/soakBatch*soakBatch {
			r.Heap[0] = liveHeap()
		}
	}
	r.Digest, r.Fuel, r.Heap[1] = hex.EncodeToString(sum.Sum(nil)), budget.Spent(pipeline.UnitFuel), liveHeap()
	return r, nil
}

// soakRecord makes the n-th item: all orders but the trap in turn, in sizes up
// to 8 KiB.
func soakRecord(n uint64) k1.Record {
	const orders = "a#=!?~@,+z"
	value := make([]byte, 1+n*2654435761%8191)
	value[0] = orders[n%uint64(len(orders))]
	for i := 1; i < len(value); i++ {
		value[i] = byte("abcdefgh,ijklmnopqrstuvwxyzABCDE"[(uint64(i)+n)%32])
	}
	return k1.Record{Key: []byte(strconv.FormatUint(n, 10)), Value: value, Meta: []byte(`{"lang":"en"}`), Time: n << 20, Seed: n * 0x9e3779b97f4a7c15}
}

// digestOps adds operations to a digest, each part with its length.
func digestOps(h hash.Hash, ops []k1.Op) {
	part := func(b []byte) {
		_, _ = h.Write(binary.LittleEndian.AppendUint32(nil, uint32(len(b)))) // a hash never fails
		_, _ = h.Write(b)
	}
	part(binary.LittleEndian.AppendUint32(nil, uint32(len(ops))))
	for _, op := range ops {
		part([]byte{byte(op.Source), byte(op.Code), byte(op.Port)})
		part(op.Key)
		part(op.Value)
	}
}

func liveHeap() uint64 {
	var m runtime.MemStats
	runtime.GC() // twice: the first one only moves what a sync.Pool holds
	runtime.GC()
	runtime.ReadMemStats(&m)
	return m.HeapAlloc
}
