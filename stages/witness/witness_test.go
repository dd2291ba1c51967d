package witness

import (
	"encoding/json"
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/waybill-dev/waybill/pipeline"
	"github.com/waybill-dev/waybill/stages/internal/cas"
)

func TestReceiptsVerify(t *testing.T) {
	r := newRig(t, t.TempDir())
	items := r.witness(t, ids("a", 3)...)
	items = append(items, r.witness(t, "b")...)
	wantAll(t, verify(t, r.request()), 4)
	for _, it := range items {
		b, err := r.stage.objects.Get(t.Context(), it.Receipt)
		if err != nil {
			t.Fatal(err)
		}
		s, err := ParseStatement(b)
		if err != nil {
			t.Fatal(err)
		}
		if s.item().Item != it.ID {
			t.Errorf("receipt of %s is about %s", it.ID, s.item().Item)
		}
	}
}

// The log outgrows a tile, with batches that end before, at and behind its end.
func TestManyBatches(t *testing.T) {
	t.Parallel()
	r := newRig(t, t.TempDir())
	total := 0
	for i, n := range []int{1, 200, 55, 1, 30, 256} {
		r.witness(t, ids(string(rune('a'+i)), n)...)
		total += n
		if i%2 == 0 { // as another process would find it
			r.stage.Close()
			r.stage = newStage(t, r.dir, Config{})
			if err := r.stage.Start(t.Context()); err != nil {
				t.Fatal(err)
			}
		}
	}
	wantAll(t, verify(t, r.request()), total)
}

func TestStatement(t *testing.T) {
	r := newRig(t, t.TempDir())
	it := r.item(t, "a/1")
	it.Budget = pipeline.NewBudget(100, 0)
	it.Budget.Settle(pipeline.UnitFuel, 0, 40)
	if err := r.stage.Process(t.Context(), it); err != nil {
		t.Fatal(err)
	}
	s, p, err := readReceipt(filepath.Join(r.log(), "receipts", "pages", "a%2F1.tlog-proof"))
	if err != nil {
		t.Fatal(err)
	}
	want := &Statement{
		Type: StatementType, PredicateType: PredicateType,
		Subject: []Resource{{Name: "body", MediaType: "text/plain", Digest: map[string]string{"sha256": it.Outputs[0].Digest.Hex()},
			Annotations: map[string]any{"size": 13.0, "copies": 2.0}}},
		Predicate: Provenance{
			BuildDefinition: BuildDefinition{
				BuildType:          BuildType,
				ExternalParameters: External{Pipeline: "test", Queue: "pages", Item: "a/1", Key: "example.com"},
				InternalParameters: Internal{
					Result: "succeeded", Attempt: 1, MaxAttempts: 4, Token: 7, Enqueued: "2026-03-14T15:08:26Z",
					Spent: map[string]int64{"fuel": 40, "io": 0}, Left: map[string]int64{"fuel": 60},
					Steps: []Step{{Stage: "store", Kind: "store", Result: "ok", ElapsedNS: 1e6, Spent: map[string]int64{"io": 12}}},
				},
				ResolvedDependencies: []Resource{
					{Name: "pipeline", MediaType: pipeline.MediaJSON, Digest: map[string]string{"sha256": pipeline.DigestOf([]byte(testSource)).Hex()}, Annotations: map[string]any{"kept": "log", "size": 30.0}},
					{Name: "input", MediaType: pipeline.MediaJSON, Digest: map[string]string{"sha256": pipeline.DigestOf([]byte(`{"url":"http://127.0.0.1/a/1"}`)).Hex()}, Annotations: map[string]any{"kept": "log", "size": 30.0}},
					{Name: "kernel", URI: "file:k.wasm", MediaType: "application/wasm", Digest: map[string]string{"sha256": pipeline.DigestOf([]byte("kernel")).Hex()}},
				},
			},
			RunDetails: RunDetails{
				Builder:    Builder{ID: BuilderID, Version: map[string]string{"waybill": "v0.0.0-test"}},
				Metadata:   Metadata{InvocationID: "run-1/pages/a/1/1/7", StartedOn: "2026-03-14T15:09:25Z", FinishedOn: "2026-03-14T15:09:26Z"},
				Byproducts: []Resource{{Name: "trace", Annotations: map[string]any{"traceparent": it.Trace.Parent}}},
			},
		},
	}
	if diff := cmp.Diff(want, s); diff != "" {
		t.Error(diff)
	}
	if it.Receipt != pipeline.DigestOf(p.Extra) {
		t.Errorf("item.Receipt is %s, the statement is %s", it.Receipt, pipeline.DigestOf(p.Extra))
	}
}

func TestFailedItemHasReceipt(t *testing.T) {
	r := newRig(t, t.TempDir())
	it := r.item(t, "a")
	it.Outputs = nil
	cause := &pipeline.Error{Kind: pipeline.Permanent, Code: "http-404", Stage: "execute", Err: errors.New("no such page"), Hint: "look at the URL"}
	if err := r.stage.Commit(t.Context(), it, pipeline.Outcome{Result: pipeline.Dead, Cause: cause}); err != nil {
		t.Fatal(err)
	}
	verdicts := verify(t, r.request())
	wantAll(t, verdicts, 1)
	record, err := r.stage.objects.Get(t.Context(), verdicts[1].Outputs[0].Digest)
	if err != nil {
		t.Fatal(err)
	}
	want := `{"attempt":1,"code":"http-404","hint":"look at the URL","item":"a","kind":"permanent","message":"no such page","result":"dead","stage":"execute"}`
	if string(record) != want {
		t.Errorf("error record %s, want %s", record, want)
	}
}

// An item without stored outputs is witnessed by its body, kept with the log.
func TestNothingStored(t *testing.T) {
	r := newRig(t, t.TempDir())
	it := r.item(t, "a")
	it.Outputs, it.Body = nil, pipeline.JSONBody(map[string]any{"b": 1, "a": []any{3, 1}})
	if err := r.stage.Process(t.Context(), it); err != nil {
		t.Fatal(err)
	}
	wantAll(t, verify(t, r.request()), 1)
	if _, err := r.stage.objects.Get(t.Context(), pipeline.DigestOf([]byte(`{"a":[3,1],"b":1}`))); err != nil {
		t.Error(err)
	}
}

// A second attempt replaces the receipt; a carrier with an older token does not.
func TestFencing(t *testing.T) {
	r := newRig(t, t.TempDir())
	first := r.item(t, "a")
	second := r.item(t, "a")
	second.Attempt, second.Token = 2, 8
	for _, it := range []*pipeline.Item{first, second} {
		if err := r.stage.Process(t.Context(), it); err != nil {
			t.Fatal(err)
		}
	}
	zombie := r.item(t, "a")
	errs := r.stage.ProcessBatch(t.Context(), []*pipeline.Item{zombie, r.item(t, "b")})
	if !errors.Is(errs[0], pipeline.ErrLeaseLost) || errs[1] != nil || zombie.Receipt != "" {
		t.Errorf("zombie: %v, receipt %q; its neighbour: %v", errs[0], zombie.Receipt, errs[1])
	}
	s, _, err := readReceipt(filepath.Join(r.log(), receiptPath("pages", "a")))
	if err != nil || s.token() != 8 {
		t.Errorf("the receipt has token %d (%v), want 8", s.token(), err)
	}
	wantAll(t, verify(t, r.request()), 2)
}

func TestTooLarge(t *testing.T) {
	r := newRig(t, t.TempDir())
	big := r.item(t, "a")
	for range 1000 {
		big.Outputs = append(big.Outputs, big.Outputs[0])
	}
	errs := r.stage.ProcessBatch(t.Context(), []*pipeline.Item{big, r.item(t, "b")})
	if pipeline.CodeOf(errs[0]) != "receipt-too-large" || pipeline.KindOf(errs[0]) != pipeline.Permanent || errs[1] != nil {
		t.Errorf("got %v, %v", errs[0], errs[1])
	}
	wantAll(t, verify(t, r.request()), 1)
}

func TestStartRefuses(t *testing.T) {
	for name, tc := range map[string]struct {
		prepare func(t *testing.T, dir string)
		want    string
	}{
		"log is a file": {func(t *testing.T, dir string) {
			if err := os.WriteFile(filepath.Join(dir, "log"), nil, 0o644); err != nil {
				t.Fatal(err)
			}
		}, "not a directory"},
		"key is no key": {func(t *testing.T, dir string) {
			if err := os.MkdirAll(filepath.Join(dir, "keys"), 0o700); err != nil {
				t.Fatal(err)
			}
			if err := os.WriteFile(filepath.Join(dir, "keys", "witness.key"), []byte("x"), 0o600); err != nil {
				t.Fatal(err)
			}
		}, "holds no signing key"},
	} {
		t.Run(name, func(t *testing.T) {
			dir := t.TempDir()
			tc.prepare(t, dir)
			s := newStage(t, dir, Config{})
			err := s.Start(t.Context())
			defer s.Close()
			if err == nil || !strings.Contains(err.Error(), tc.want) || strings.Contains(err.Error(), "\n") {
				t.Errorf("got %v, want one line with %q", err, tc.want)
			}
		})
	}
}

func TestReceiptPath(t *testing.T) {
	long := strings.Repeat("ä", 300)
	seen := map[string]string{}
	for _, id := range []string{"a", "A b", "..", ".hidden", "a/b", "a%2Fb", "", long, long + "x"} {
		p := receiptPath("q", id)
		if other, twice := seen[p]; twice {
			t.Errorf("%q and %q share %s", id, other, p)
		}
		seen[p] = id
		name := strings.TrimPrefix(p, "receipts/q/")
		if len(name) > 240 || strings.ContainsAny(name, "/ ") || name[0] == '.' && name != proofSuffix {
			t.Errorf("%q is filed as %s", id, p)
		}
	}
}

// The receipt is checked with nothing of ours but its format.
func TestShellScript(t *testing.T) {
	t.Parallel()
	r := newRig(t, t.TempDir())
	r.witness(t, ids("a", 11)...)
	script, err := filepath.Abs("../../spec/verify.sh")
	if err != nil {
		t.Fatal(err)
	}
	vkey := filepath.Join(r.log(), "witness.vkey")
	run := func(args ...string) (string, error) {
		out, err := exec.Command("bash", append([]string{script}, args...)...).CombinedOutput()
		return string(out), err
	}
	for _, id := range []string{"a-0", "a-7", "a-10"} {
		receipt := filepath.Join(r.log(), receiptPath("pages", id))
		output := filepath.Join(r.store(), "blobs", "sha256", pipeline.DigestOf([]byte("result of "+id)).Hex())
		if out, err := run(receipt, vkey, "body", output); err != nil {
			t.Errorf("%s: %v: %s", id, err, out)
		}
		if out, err := run(receipt, vkey, "body", vkey); err == nil || !strings.Contains(out, ": object: ") {
			t.Errorf("%s: another file passes as its output: %s", id, out)
		}
	}
	receipt := filepath.Join(r.log(), receiptPath("pages", "a-3"))
	text, err := os.ReadFile(receipt)
	if err != nil {
		t.Fatal(err)
	}
	for link, at := range map[string]int{
		"inclusion": strings.Index(string(text), "extra ") + 40,
		"signature": len(text) - 20,
	} {
		bad := append([]byte{}, text...)
		bad[at] = map[bool]byte{true: 'B', false: 'A'}[bad[at] == 'A']
		writeFile(t, receipt, bad)
		if out, err := run(receipt, vkey); err == nil || !strings.Contains(out, ": "+link+": ") {
			t.Errorf("byte %d altered: %v: %s, want %s", at, err, out, link)
		}
	}
}

// Receipts can be checked away from their log, with the key alone.
func TestReceiptAlone(t *testing.T) {
	r := newRig(t, t.TempDir())
	r.witness(t, ids("a", 5)...)
	receipt := filepath.Join(t.TempDir(), "elsewhere.tlog-proof")
	text, err := os.ReadFile(filepath.Join(r.log(), receiptPath("pages", "a-2")))
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(receipt, text, 0o644); err != nil {
		t.Fatal(err)
	}
	got := verify(t, pipeline.VerifyRequest{Receipts: []string{receipt}, Key: r.stage.log.VKey()})
	want := []pipeline.Verdict{{Subject: receipt, Item: "a-2", Result: pipeline.Succeeded, Index: 2, OK: true,
		Skipped: []string{"log: not given", "objects: no store given"},
		Outputs: []pipeline.Output{{Name: "body", MediaType: "text/plain", Digest: pipeline.DigestOf([]byte("result of a-2")), Size: 13, Copies: 2}}}}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
	_, err = json.Marshal(got)
	if err != nil {
		t.Error(err)
	}
}

func TestVerifyRefuses(t *testing.T) {
	for _, r := range []pipeline.VerifyRequest{
		{}, {Store: "file:/nonexistent.invalid"}, {Log: "file:/nonexistent.invalid"}, {Log: "s3:x"}, {Receipts: []string{"x"}}, {Receipts: []string{"x"}, Key: "nokey"},
	} {
		err := Verifier(cas.Driver())(t.Context(), r, func(v pipeline.Verdict) { t.Errorf("verdict %+v", v) })
		if err == nil {
			t.Errorf("%+v: no error", r)
		}
	}
}
