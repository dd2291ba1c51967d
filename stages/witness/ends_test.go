package witness

import (
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/waybill-dev/waybill/pipeline"
)

// stated reads the receipt of an item.
func (r *rig) stated(t *testing.T, e External) *Statement {
	t.Helper()
	s, _, err := readReceipt(filepath.Join(r.log(), e.path()))
	if err != nil {
		t.Fatal(err)
	}
	return s
}

// kept reads an object of the log.
func (r *rig) kept(t *testing.T, res Resource) string {
	t.Helper()
	if !res.keptInLog() {
		t.Fatalf("%s is not kept in the log: %+v", res.Name, res)
	}
	b, err := r.stage.objects.Get(t.Context(), res.digest())
	if err != nil {
		t.Fatal(err)
	}
	return string(b)
}

// An item that is too large for a receipt fails, and that failure has a receipt,
// however large everything else is.
func TestLargeFailure(t *testing.T) {
	t.Parallel()
	r := newRig(t, t.TempDir())
	it := r.item(t, strings.Repeat("\x01", 100<<10))
	it.Key, it.Trace.Parent = strings.Repeat("\x01", 100<<10), strings.Repeat("\x01", 100<<10)
	for i := range 2000 {
		it.Outputs = append(it.Outputs, it.Outputs[0])
		it.DependOn(pipeline.Dependency{Name: fmt.Sprint("kernel-", i), Digest: pipeline.DigestOf(nil)})
	}
	err := r.stage.Process(t.Context(), it)
	if pipeline.CodeOf(err) != "receipt-too-large" || pipeline.KindOf(err) != pipeline.Permanent {
		t.Fatalf("process: %v", err)
	}
	cause := pipeline.Fail("large", "%s", strings.Repeat("é", 100<<10)).WithHint("%s", strings.Repeat("y", 100<<10))
	if err := r.stage.Commit(t.Context(), it, pipeline.Outcome{Result: pipeline.Dead, Cause: cause}); err != nil {
		t.Fatalf("commit of the failure: %v", err)
	}
	wantAll(t, verify(t, r.request()), 1)
	s := r.stated(t, External{Queue: "pages", Item: shortName(it.ID)})
	if len(s.Subject) != 2 || s.Subject[1].Name != "outputs" || s.Subject[1].number(noteCount) != 2001 {
		t.Fatalf("subjects %+v, want the error and the list of outputs", s.Subject)
	}
	var outputs []Resource
	if err := json.Unmarshal([]byte(r.kept(t, s.Subject[1])), &outputs); err != nil || len(outputs) != 2001 || outputs[7].digest() != it.Outputs[7].Digest {
		t.Errorf("%d outputs are listed, %v", len(outputs), err)
	}
	if record := r.kept(t, s.Subject[0]); len(record) > 3*maxText || !strings.Contains(record, `"code":"large"`) {
		t.Errorf("the error record has %d bytes: %.80s", len(record), record)
	}
}

func TestNamesStayApart(t *testing.T) {
	long := strings.Repeat("a", maxName)
	if shortName(long) != long {
		t.Error("a name of full length was changed")
	}
	a, b := shortName(long+"1"), shortName(long+"2")
	if a == b || len(a) > maxName {
		t.Errorf("%d bytes: %q and %q", len(a), a, b)
	}
}

// TestStaleInOneBatch: the order inside a batch says nothing about who is alive.
func TestStaleInOneBatch(t *testing.T) {
	for name, tokens := range map[string][]int64{"stale last": {6, 5}, "stale first": {5, 6}, "between": {4, 6, 5}} {
		t.Run(name, func(t *testing.T) {
			r := newRig(t, t.TempDir())
			var items []*pipeline.Item
			for _, token := range tokens {
				it := r.item(t, "a")
				it.Token = token
				items = append(items, it)
			}
			live := pipeline.Digest("")
			for i, err := range r.stage.ProcessBatch(t.Context(), items) {
				if stale := tokens[i] != 6; stale != errors.Is(err, pipeline.ErrLeaseLost) || stale != (items[i].Receipt == "") {
					t.Errorf("token %d: %v, receipt %q", tokens[i], err, items[i].Receipt)
				} else if !stale {
					live = items[i].Receipt
				}
			}
			_, p, err := readReceipt(filepath.Join(r.log(), receiptPath("pages", "a")))
			if err != nil || pipeline.DigestOf(p.Extra) != live {
				t.Errorf("the receipt is not the live claim's (%v)", err)
			}
			wantAll(t, verify(t, r.request()), 1)
		})
	}
}

func TestSkippedItem(t *testing.T) {
	r := newRig(t, t.TempDir())
	it := r.item(t, "a")
	it.Outputs = nil
	if err := r.stage.Commit(t.Context(), it, pipeline.Outcome{Result: pipeline.Skipped, Cause: pipeline.SkipItem("seen before")}); err != nil {
		t.Fatal(err)
	}
	wantAll(t, verify(t, r.request()), 1)
	s := r.stated(t, External{Queue: "pages", Item: "a"})
	in := s.Predicate.BuildDefinition.InternalParameters
	if in.Result != pipeline.Skipped || in.Reason != "seen before" {
		t.Errorf("result %q, reason %q", in.Result, in.Reason)
	}
	if len(s.Subject) != 1 || s.Subject[0].Name != "input" || r.kept(t, s.Subject[0]) != `{"url":"http://127.0.0.1/a"}` {
		t.Errorf("subjects %+v, want the input", s.Subject)
	}

	empty := &pipeline.Item{ID: "empty", Queue: "pages"}
	if err := r.stage.Commit(t.Context(), empty, pipeline.Outcome{Result: pipeline.Skipped}); err != nil {
		t.Fatalf("an item without a body: %v", err)
	}
	wantAll(t, verify(t, r.request()), 2)
}

// A parent succeeds through its children: its receipt is about its own body and
// stands for theirs.
func TestParent(t *testing.T) {
	r := newRig(t, t.TempDir())
	parent := r.item(t, "p")
	parent.Outputs, parent.Dependencies = nil, nil
	child := parent.NewChild(0)
	parent.Emit(child)
	if err := r.stage.Process(t.Context(), child); err != nil {
		t.Fatal(err)
	}
	parent.DependOn(pipeline.Dependency{Name: "children", Digest: pipeline.DigestOf([]byte("p/0 " + child.Receipt + "\n"))})
	if err := r.stage.Commit(t.Context(), parent, pipeline.Outcome{Result: pipeline.Succeeded}); err != nil {
		t.Fatal(err)
	}
	wantAll(t, verify(t, r.request()), 2)
	s := r.stated(t, External{Queue: "pages", Item: "p"})
	deps := s.Predicate.BuildDefinition.ResolvedDependencies
	if in := s.Predicate.BuildDefinition.InternalParameters; in.Result != pipeline.Succeeded || s.Subject[0].Name != "body" || deps[len(deps)-1].Name != "children" {
		t.Errorf("the parent's receipt: %+v", s)
	}
}

// Dependencies that are too many for a statement are a list of the log's.
func TestManyDependencies(t *testing.T) {
	t.Parallel()
	r := newRig(t, t.TempDir())
	it := r.item(t, "a")
	for i := range 5000 {
		it.DependOn(pipeline.Dependency{Name: fmt.Sprint("part-", i), Digest: pipeline.DigestOf(nil)})
	}
	if err := r.stage.Process(t.Context(), it); err != nil {
		t.Fatal(err)
	}
	wantAll(t, verify(t, r.request()), 1)
	deps := r.stated(t, External{Queue: "pages", Item: "a"}).Predicate.BuildDefinition.ResolvedDependencies
	if len(deps) != 3 || deps[2].Name != "dependencies" || deps[2].number(noteCount) != 5001 {
		t.Fatalf("dependencies %+v, want pipeline, input and the list", deps)
	}
	var listed []Resource
	if err := json.Unmarshal([]byte(r.kept(t, deps[2])), &listed); err != nil || len(listed) != 5001 || listed[5000].Name != "part-4999" {
		t.Errorf("%d are listed, %v", len(listed), err)
	}
	if err := os.Remove(filepath.Join(r.log(), objectsDir, "blobs", "sha256", deps[2].digest().Hex())); err != nil {
		t.Fatal(err)
	}
	if links := failures(verify(t, r.request())); !links[linkDependency] {
		t.Errorf("without the list the broken links are %v, want dependency", links)
	}
}

// TestChildIsNotItsNamesake: the child 0 of "a" and an item "a/0" are two.
func TestChildIsNotItsNamesake(t *testing.T) {
	r := newRig(t, t.TempDir())
	parent, namesake := r.item(t, "a"), r.item(t, "a/0")
	child := r.item(t, "a/0")
	parent.Emit(child)
	grandchild := r.item(t, "a/0/1")
	child.Emit(grandchild)
	namesakes := r.item(t, "a/0/1")
	namesake.Emit(namesakes)
	all := []*pipeline.Item{child, namesake, grandchild, namesakes}
	for _, err := range r.stage.ProcessBatch(t.Context(), all) {
		if err != nil {
			t.Fatal(err)
		}
	}
	wantAll(t, verify(t, r.request()), 4)
	var got []string
	for _, f := range files(t, filepath.Join(r.log(), "receipts")) {
		rel, _ := filepath.Rel(r.log(), f)
		got = append(got, rel)
	}
	want := []string{"receipts/pages/a%2F0.children/a%2F0%2F1.tlog-proof", "receipts/pages/a%2F0.tlog-proof",
		"receipts/pages/a.children/a%2F0%2F1.tlog-proof", "receipts/pages/a.children/a%2F0.tlog-proof"}
	if d := cmp.Diff(want, got); d != "" {
		t.Errorf("receipts (-want +got):\n%s", d)
	}

	// A receipt of the one, filed as the other's, is found out.
	from, to := filepath.Join(r.log(), want[1]), filepath.Join(r.log(), want[3])
	text, err := os.ReadFile(from)
	if err != nil {
		t.Fatal(err)
	}
	writeFile(t, to, text)
	if links := failures(verify(t, r.request())); !links[linkProof] {
		t.Errorf("the broken links are %v, want proof", links)
	}
}
