package stages

import (
	"strings"
	"testing"

	"github.com/waybill-dev/waybill/pipeline"
)

// The lists are what a user meets first: each entry needs a name of its own and
// a line that says what it is.
func TestLists(t *testing.T) {
	set := pipeline.NewSet(All()...) // panics on a kind listed twice
	want := "claim distribute execute transform split send store witness"
	if got := strings.Join(set.Kinds(), " "); got != want {
		t.Errorf("kinds %q, want %q", got, want)
	}
	for _, d := range All() {
		if d.Doc == "" || strings.HasSuffix(d.Doc, ".") {
			t.Errorf("%s: want one line without a full stop, not %q", d.Kind, d.Doc)
		}
	}
	seen := map[string]bool{}
	for _, q := range Queues() {
		if q.Doc == "" || q.Open == nil || seen["queue "+q.Scheme] {
			t.Errorf("queue driver %q is incomplete or listed twice", q.Scheme)
		}
		seen["queue "+q.Scheme] = true
	}
	for _, s := range Stores() {
		if s.Doc == "" || s.Open == nil || seen["store "+s.Scheme] {
			t.Errorf("object driver %q is incomplete or listed twice", s.Scheme)
		}
		seen["store "+s.Scheme] = true
	}
	for _, p := range Probes() {
		if p.Name == "" || p.Run == nil {
			t.Errorf("probe %q is incomplete", p.Name)
		}
	}
	if Verifier() == nil {
		t.Error("no verifier")
	}
}
