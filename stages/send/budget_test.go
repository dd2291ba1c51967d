package send

import (
	"io"
	"net/http"
	"net/http/httptest"
	"path/filepath"
	"testing"

	"github.com/waybill-dev/waybill/pipeline"
)

// A line that the item cannot pay for is not written; one that is written is
// charged with its line feed, and the others of the batch pay nothing for it.
func TestLinesAreCharged(t *testing.T) {
	path := filepath.Join(t.TempDir(), "out.jsonl")
	l := toFile(t, path)
	rich, poor := jsonItem("a", 1), jsonItem("b", 2)
	rich.Budget, poor.Budget = pipeline.NewBudget(0, 100), pipeline.NewBudget(0, 5)
	errs := l.ProcessBatch(t.Context(), []*pipeline.Item{rich, poor})
	if len(errs) != 2 || errs[0] != nil || pipeline.CodeOf(errs[1]) != "budget-exceeded" {
		t.Fatalf("errors %v, want the second item's budget exceeded", errs)
	}
	text := contents(t, path)
	if text != "{\"id\":\"a\",\"body\":1}\n" {
		t.Errorf("file %q", text)
	}
	if a, b := rich.Budget.Spent(pipeline.UnitIO), poor.Budget.Spent(pipeline.UnitIO); a != int64(len(text)) || b != 0 {
		t.Errorf("charged %d and %d, want %d and 0", a, b, len(text))
	}
}

// A line that could not be written costs nothing.
func TestFailedLinesAreRefunded(t *testing.T) {
	cfg := defaults()
	cfg.To = "stdout"
	l := &lines{cfg: cfg, out: &pipeOut{w: closedPipe{}}}
	it := jsonItem("a", 1)
	it.Budget = pipeline.NewBudget(0, 100)
	if err := l.Process(t.Context(), it); err == nil {
		t.Fatal("no error")
	}
	if left, _ := it.Budget.Left(pipeline.UnitIO); left != 100 {
		t.Errorf("%d of 100 left", left)
	}
}

type closedPipe struct{}

func (closedPipe) Write([]byte) (int, error) { return 0, io.ErrClosedPipe }

// A request is charged with its answer; one that the item cannot pay for is not
// sent.
func TestRequestsAreCharged(t *testing.T) {
	calls := 0
	srv := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		calls++
		w.Write([]byte("thanks"))
	}))
	defer srv.Close()
	cfg := defaults()
	cfg.To = srv.URL
	p := newHTTP(cfg)
	defer p.Close()
	it := jsonItem("a", 1)
	it.Budget = pipeline.NewBudget(0, 30)
	if err := p.Process(t.Context(), it); err != nil {
		t.Fatal(err)
	}
	if got, want := it.Budget.Spent(pipeline.UnitIO), int64(len(`{"id":"a","body":1}`)+len("thanks")); got != want {
		t.Errorf("charged %d, want %d", got, want)
	}
	if err := p.Process(t.Context(), it); pipeline.CodeOf(err) != "budget-exceeded" || calls != 1 {
		t.Errorf("%v after %d requests, want the budget exceeded before the second", err, calls)
	}
}
