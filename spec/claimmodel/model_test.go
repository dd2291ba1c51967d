package claimmodel_test

import (
	"cmp"
	"flag"
	"fmt"
	"os"
	"strconv"
	"strings"
	"testing"

	"github.com/waybill-dev/waybill/spec/claimmodel"
)

var update = flag.Bool("update", false, "rewrite the tables in spec/claim-protocol.md")

// explored are the worlds that the tables show; soak has more workers.
var explored = []claimmodel.Model{
	{World: claimmodel.OneItem, Workers: 2}, {World: claimmodel.OneKey, Workers: 2}, {World: claimmodel.OneIdempotencyKey, Workers: 2},
	{World: claimmodel.StoredTurn, Workers: 1},
}

// TestHolds: with all guards no invariant is broken anywhere. WAYBILL_MODEL_WORKERS
// says how many workers, beside the two of the table.
func TestHolds(t *testing.T) {
	models := explored
	if n, err := strconv.Atoi(cmp.Or(os.Getenv("WAYBILL_MODEL_WORKERS"), "2")); err != nil {
		t.Fatal(err)
	} else if n > 2 {
		for w := range claimmodel.Worlds() {
			m := claimmodel.Model{World: claimmodel.World(w), Workers: n}
			if m.World == claimmodel.StoredTurn { // with its settlers it has as many states with one worker less
				m.Workers--
			}
			models = append(models, m)
		}
	}
	var table strings.Builder
	table.WriteString("| world | workers | states |\n|---|---|---|\n")
	for i, m := range models {
		r := m.Explore()
		t.Logf("%s, %d workers: %d states", claimmodel.Worlds()[m.World], m.Workers, r.States)
		if r.Broken != "" {
			t.Errorf("%s:\n\t%s", r.Broken, strings.Join(r.Trace, "\n\t"))
		}
		if i < len(explored) {
			fmt.Fprintf(&table, "| %s | %d | %d |\n", claimmodel.Worlds()[m.World], m.Workers, r.States)
		}
	}
	inSpec(t, "states", table.String())
}

// TestEachGuardIsNeeded: without any one of them the exploration finds a bug.
func TestEachGuardIsNeeded(t *testing.T) {
	var table strings.Builder
	table.WriteString("| guard | without it | what breaks, in how many steps | seen in a real system |\n|---|---|---|---|\n")
	for _, g := range claimmodel.Guards() {
		r := shortest(g.Guard)
		if r.Broken == "" {
			t.Errorf("without the guard %q nothing breaks", g.Name)
			continue
		}
		t.Logf("without the guard %q: %s:\n\t%s", g.Name, r.Broken, strings.Join(r.Trace, "\n\t"))
		fmt.Fprintf(&table, "| %s | %s | %s, %d | %s |\n", g.Name, g.Without, r.Broken, len(r.Trace), g.Lesson)
	}
	inSpec(t, "guards", table.String())
}

// shortest returns the shortest trace in any world.
func shortest(without claimmodel.Guard) claimmodel.Result {
	var best claimmodel.Result
	for _, m := range explored {
		m.Without, m.Steps = without, len(best.Trace)
		if r := m.Explore(); r.Broken != "" && (best.Broken == "" || len(r.Trace) < len(best.Trace)) {
			best = r
		}
	}
	return best
}

// inSpec compares a table with the one in the protocol, or rewrites that.
func inSpec(t *testing.T, name, want string) {
	t.Helper()
	const path = "../claim-protocol.md"
	text, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	begin, end := "<!-- "+name+" -->\n", "<!-- end of "+name+" -->"
	before, rest, ok := strings.Cut(string(text), begin)
	got, after, closed := strings.Cut(rest, end)
	if !ok || !closed {
		t.Fatalf("%s has no %q", path, strings.TrimSpace(begin))
	}
	if *update {
		if err := os.WriteFile(path, []byte(before+begin+want+end+after), 0o644); err != nil {
			t.Fatal(err)
		}
	} else if got != want {
		t.Errorf("%s: the table of %s is not what was explored; run go test ./spec/claimmodel -update", path, name)
	}
}
