package plugins

import (
	"bytes"
	"errors"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/waybill-dev/waybill/pipeline"
	"github.com/waybill-dev/waybill/plugins/internal/host"
	"github.com/waybill-dev/waybill/plugins/internal/k1"
	"github.com/waybill-dev/waybill/plugins/internal/manifest"
)

// checkConform holds a conformance kernel against the vectors, through the real
// host: each record alone and all of one configuration in one batch, twice on
// fresh instances, whose fuel must be equal; then what no vector can say: log
// and counter, the trap, refused configurations.
func checkConform(t *testing.T, wasmPath string) {
	t.Helper()
	wasm, err := os.ReadFile(wasmPath)
	if err != nil {
		t.Fatal(err)
	}
	c := &conformance{wasm: wasm}
	for _, group := range byConfig(loadConform(t)) {
		t.Run("with "+string(group[0].Config), func(t *testing.T) {
			k := c.kernel(t, string(group[0].Config), slog.New(slog.DiscardHandler))
			alone(t, k, group)
			together(t, k, group)
		})
	}
	t.Run("log and counter", c.logAndCounter)
	t.Run("trap", c.trap)
	t.Run("refused configurations", c.refused)
}

// byConfig groups samples by their configuration, in order.
func byConfig(samples []manifest.Sample) [][]manifest.Sample {
	var groups [][]manifest.Sample
	at := make(map[string]int)
	for _, s := range samples {
		n, ok := at[string(s.Config)]
		if !ok {
			n = len(groups)
			at[string(s.Config)] = n
			groups = append(groups, nil)
		}
		groups[n] = append(groups[n], s)
	}
	return groups
}

// conformance is one module under test.
type conformance struct{ wasm []byte }

// kernel compiles the module with a configuration; it closes with the test.
func (c *conformance) kernel(t *testing.T, config string, log *slog.Logger) *host.Kernel {
	t.Helper()
	if config == "" {
		config = "{}"
	}
	k, err := host.New(t.Context(), host.Options{
		Name: "conform", Digest: pipeline.DigestOf(c.wasm), WASM: c.wasm, Config: []byte(config), Log: log,
		CacheDir: filepath.Join(built.cache, "kernels"),
		Limits:   host.Limits{Memory: 64 << 20, Timeout: time.Minute, Output: 16 << 20, Log: 64 << 10},
	})
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

// pool makes a pool of one fresh instance, which closes with the test.
func (c *conformance) pool(t *testing.T, config string) *host.Pool {
	t.Helper()
	p := host.NewPool(c.kernel(t, config, slog.New(slog.DiscardHandler)), 1)
	t.Cleanup(p.Close)
	return p
}

// alone sends each record in a batch of its own, the second time in the
// opposite order: neither the answer nor its fuel may show what came before.
func alone(t *testing.T, k *host.Kernel, group []manifest.Sample) {
	var fuel [2][]int64
	for round := range fuel {
		fuel[round] = make([]int64, len(group))
		p := host.NewPool(k, 1) // a fresh instance
		for n := range group {
			if round == 1 {
				n = len(group) - 1 - n
			}
			budget := new(pipeline.Budget)
			ops, err := p.Run(t.Context(), nil, 0, conformRecords(t, group[n]), budget)
			if err != nil {
				t.Errorf("%s: %v", group[n].Name, err)
				continue
			}
			checkAnswer(t, group[n], ops)
			fuel[round][n] = budget.Spent(pipeline.UnitFuel)
		}
		p.Close()
	}
	for i, s := range group {
		if fuel[0][i] != fuel[1][i] || fuel[0][i] <= 0 {
			t.Errorf("%s: %d units of fuel, then %d on another instance", s.Name, fuel[0][i], fuel[1][i])
		}
	}
}

// together sends all records in one batch.
func together(t *testing.T, k *host.Kernel, group []manifest.Sample) {
	var fuel [2]int64
	for round := range fuel {
		budgets := make([]*pipeline.Budget, len(group))
		for i := range budgets {
			budgets[i] = new(pipeline.Budget)
		}
		p := host.NewPool(k, 1)
		ops, err := p.Run(t.Context(), nil, 0, conformRecords(t, group...), budgets...)
		p.Close()
		if err != nil {
			t.Fatal(err)
		}
		bySource := make([][]k1.Op, len(group))
		for _, op := range ops {
			bySource[op.Source] = append(bySource[op.Source], op)
		}
		for i, s := range group {
			checkAnswer(t, s, bySource[i])
			fuel[round] += budgets[i].Spent(pipeline.UnitFuel)
		}
	}
	if fuel[0] != fuel[1] || fuel[0] <= 0 {
		t.Errorf("%d units of fuel, %d on another instance", fuel[0], fuel[1])
	}
}

func conformRecords(t *testing.T, samples ...manifest.Sample) []k1.Record {
	t.Helper()
	records := make([]k1.Record, len(samples))
	for i, s := range samples {
		records[i] = k1.Record{Key: []byte(s.Key), Value: s.Bytes(), Meta: conformMeta(t, s), Time: s.Time, Seed: s.Seed}
	}
	return records
}

// checkAnswer compares a record's operations with what the vector wants.
func checkAnswer(t *testing.T, s manifest.Sample, ops []k1.Op) {
	t.Helper()
	if s.Error != nil {
		kinds := []string{k1.ErrPermanent: manifest.ErrorPermanent, k1.ErrRetry: manifest.ErrorRetry, k1.ErrSkip: manifest.ErrorSkip}
		if len(ops) != 1 || ops[0].Code != k1.Err || string(ops[0].Value) != s.Error.Message || kinds[ops[0].Port] != s.Error.Kind {
			t.Errorf("%s: got %.300v, want the error %+v", s.Name, ops, *s.Error)
		}
		return
	}
	if len(ops) != len(s.Want) {
		t.Errorf("%s: %d operations, want %d", s.Name, len(ops), len(s.Want))
		return
	}
	for i, w := range s.Want {
		key, value := w.Key, w.Bytes()
		switch w.Op {
		case manifest.OpKeep:
			key, value = s.Key, s.Bytes()
		case manifest.OpSlice:
			key = s.Key
		}
		op := ops[i]
		if strings.ToLower(op.Code.String()) != w.Op || op.Port != 0 || string(op.Key) != key || !bytes.Equal(op.Value, value) {
			t.Errorf("%s: operation %d is %s port %d %q %.300q, want %s %q %.300q", s.Name, i, op.Code, op.Port, op.Key, op.Value, w.Op, key, value)
		}
	}
}

func (c *conformance) logAndCounter(t *testing.T) {
	var out bytes.Buffer
	k := c.kernel(t, "{}", slog.New(slog.NewTextHandler(&out, nil)))
	p := host.NewPool(k, 1)
	_, err := p.Run(t.Context(), nil, 0, []k1.Record{{Value: []byte("+größer")}, {Value: []byte("+")}, {Value: []byte("+three")}})
	p.Close()
	if err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{"level=INFO msg=größer ", `level=INFO msg="" `, "level=INFO msg=three "} {
		if strings.Count(out.String(), want) != 1 {
			t.Errorf("the log does not say %q once:\n%s", want, out.String())
		}
	}
	if got, want := k.Counters(), int64(len("größer")+len("three")); got[1] != want || len(got) != 1 {
		t.Errorf("counters %v, want %d in counter 1", got, want)
	}
}

// trap: the record that traps fails alone, and the kernel goes on.
func (c *conformance) trap(t *testing.T) {
	p := c.pool(t, "{}")
	out := p.RunAll(t.Context(), 0, []k1.Record{{Value: []byte("a")}, {Value: []byte("$")}, {Value: []byte("b")}})
	var f *host.Failure
	if !errors.As(out[1].Err, &f) || f.Code != host.CodeTrap && f.Code != host.CodeExit {
		t.Errorf("got %v, want a trap", out[1].Err)
	}
	for i, want := range map[int]string{0: "A", 2: "B"} {
		if out[i].Err != nil || len(out[i].Ops) != 1 || string(out[i].Ops[0].Value) != want {
			t.Errorf("record %d: %+v, want %s", i, out[i], want)
		}
	}
}

func (c *conformance) refused(t *testing.T) {
	for _, config := range []string{`{"prefx":"a"}`, `{"prefix":1}`, `{"prefix":["a"]}`, `{"prefix":true}`, `{"prefix":"a","suffix":"b"}`, `{"Suffix":{"prefix":"a"}}`} {
		p := host.NewPool(c.kernel(t, config, slog.New(slog.DiscardHandler)), 1)
		err := p.Warm(t.Context())
		p.Close()
		var f *host.Failure
		if !errors.As(err, &f) || f.Code != host.CodeInit || f.Message == "" {
			t.Errorf("%s: got %v, want a refusal with a text", config, err)
		}
	}
}
