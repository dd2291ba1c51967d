package cli

import (
	"slices"
	"strings"
	"testing"

	"github.com/waybill-dev/waybill/pipeline"
)

// More than half of a queue is only changed with --yes; half of it is not more.
func TestMassChangeIsRefused(t *testing.T) {
	for _, tc := range []struct {
		args []string
		want string // the change, or why not
	}{
		{[]string{"drop"}, "refused: drop of 10 of 12 items"},
		{[]string{"drop", "--yes"}, "drop 12"}, // the driver leaves leased ones alone
		{[]string{"drop", "--state", "done"}, "drop 3"},
		{[]string{"drop", "--older-than", "2h"}, "drop 0"},
		{[]string{"drop", "r0", "r1", "r2", "r3", "d0", "d1"}, "drop 6"},
		{[]string{"drop", "r0", "r1", "r2", "r3", "d0", "d1", "d2"}, "refused: drop of 7 of 12"},
		{[]string{"cancel"}, "cancel 12"}, // 6 of 12
		{[]string{"move", "--to", "other"}, "refused: move of 10 of 12"},
		{[]string{"move", "--to", "other", "--yes"}, "move to other 12"},
		{[]string{"move", "--to", "other", "--result", "dead"}, "move to other 3"},
		{[]string{"retry", "--all"}, "retry 3"},
		{[]string{"compact", "--keep", "0s"}, "compact 0s"}, // 3 of 12
		{[]string{"compact", "--keep", "24h"}, "compact 24h"},
	} {
		q := mixedQueue()
		r := q.command(t, tc.args...)
		got := strings.Join(q.changed, ",") + r.stderr
		if refused := strings.HasPrefix(tc.want, "refused"); !strings.Contains(got, tc.want) || refused != (r.code == exitProblem) || refused && len(q.changed) > 0 {
			t.Errorf("%v: exit %d, %s; want %s", tc.args, r.code, got, tc.want)
		}
	}
	q := mixedQueue()
	q.entries = slices.Concat(q.entries, entriesOf(pipeline.StateDone, "more", 10))
	if r := q.command(t, "compact", "--keep", "0s"); r.code != exitProblem || len(q.changed) > 0 {
		t.Errorf("compact of 13 of 22: exit %d, %v, %s", r.code, q.changed, r.stderr)
	}
}

// What cannot be counted is not taken for nothing.
func TestFailedCountRefuses(t *testing.T) {
	for _, args := range [][]string{{"drop"}, {"drop", "r0"}, {"cancel", "r0"}, {"move", "--to", "other", "r0"}, {"compact", "--keep", "24h"}} {
		q := mixedQueue()
		q.countErr = errNoCount
		r := q.command(t, args...)
		if r.code == exitOK || len(q.changed) > 0 || !strings.Contains(r.stderr, "refused: the items could not be counted: the store is away") {
			t.Errorf("%v: exit %d, changed %v, %s", args, r.code, q.changed, r.stderr)
		}
	}
}

func TestDryRun(t *testing.T) {
	for _, tc := range []struct {
		args []string
		want string
	}{
		{[]string{"drop"}, `{"dryRun":true,"matched":10,"first":["r0","d0","x0","r1","d1","x1","r2","d2","x2","r3"]}`},
		{[]string{"drop", "--state", "done"}, `{"dryRun":true,"matched":3,"first":["d0","d1","d2"]}`},
		{[]string{"drop", "--key", "none"}, `{"dryRun":true,"matched":0,"first":[]}`},
		{[]string{"cancel"}, `{"dryRun":true,"matched":6,"first":["r0","l0","r1","l1","r2","r3"]}`},
		{[]string{"retry", "--all"}, `{"dryRun":true,"matched":3,"first":["x0","x1","x2"]}`},
		{[]string{"move", "--to", "other", "x1"}, `{"dryRun":true,"matched":1,"first":["x1"]}`},
		{[]string{"pause"}, `{"dryRun":true,"matched":4,"first":["r0","r1","r2","r3"]}`},
		{[]string{"compact", "--keep", "30m"}, `{"dryRun":true,"matched":3,"first":["d0","d1","d2"]}`},
		{[]string{"compact", "--keep", "59m30s"}, `{"dryRun":true,"matched":0,"first":[]}`}, // enqueued before, ended after
	} {
		q := mixedQueue()
		r := q.command(t, append(tc.args, "--dry-run", "--json")...)
		if strings.TrimSpace(r.stdout) != tc.want || r.code != 0 || len(q.changed) > 0 || q.paused {
			t.Errorf("%v: exit %d, changed %v, %s%s; want %s", tc.args, r.code, q.changed, r.stdout, r.stderr, tc.want)
		}
	}
	q := &fakeQueue{entries: entriesOf(pipeline.StateReady, "r", 12)}
	if r := q.command(t, "drop", "--dry-run"); r.stdout != "would drop: 12\n  r0\n  r1\n  r2\n  r3\n  r4\n  r5\n  r6\n  r7\n  r8\n  r9\n  and 2 more\n" {
		t.Errorf("%s", r.stdout)
	}
}

// A state that a command never touches is a mistake, not an empty answer.
func TestStateOutOfReach(t *testing.T) {
	for _, tc := range []struct {
		args []string
		want string
	}{
		{[]string{"drop", "--state", "leased"}, "drop does not touch leased items (a leased item is its holder's"},
		{[]string{"cancel", "--state", "done"}, "cancel does not touch done items"},
		{[]string{"retry", "--state", "ready"}, "retry does not touch ready items"},
		{[]string{"retry"}, "retry of what?"},
		{[]string{"move", "x0"}, "--to is missing"},
		{[]string{"move", "--to", "default"}, `in the queue "default" already`},
		{[]string{"drop", "--result", "ded"}, "did you mean dead?"},
		{[]string{"drop", "--older-than", "5"}, "has no unit"},
		{[]string{"drop", "--older-than", "-5h"}, "is negative"},
		{[]string{"compact"}, "--keep is missing"},
	} {
		q := mixedQueue()
		if r := q.command(t, tc.args...); r.code != exitProblem || !strings.Contains(r.stderr, tc.want) || len(q.changed) > 0 {
			t.Errorf("%v: exit %d, changed %v, %s; want %s", tc.args, r.code, q.changed, r.stderr, tc.want)
		}
	}
	q := mixedQueue()
	if r := q.command(t, "retry", "x0", "d0", "nobody"); r.code != exitFailed || !strings.Contains(r.stderr, "nothing to retry: d0, nobody") || r.stdout != "retried: 1\n" {
		t.Errorf("exit %d, %s%s", r.code, r.stdout, r.stderr)
	}
}

func TestPause(t *testing.T) {
	q := mixedQueue()
	if r := q.command(t, "pause"); !q.paused || r.stdout != "paused\n" {
		t.Errorf("paused %v, %s", q.paused, r.stdout)
	}
	if r := q.command(t, "resume", "--json"); q.paused || r.stdout != "{\"paused\":false}\n" {
		t.Errorf("paused %v, %s", q.paused, r.stdout)
	}
}

func TestCompactReport(t *testing.T) {
	if r := mixedQueue().command(t, "compact", "--keep", "24h"); r.stdout != "deleted: 1, 3.0 MiB before, 2.0 KiB now\n" {
		t.Errorf("%s", r.stdout)
	}
	if r := mixedQueue().command(t, "compact", "--keep", "24h", "--json"); r.stdout != "{\"deleted\":1,\"before\":3145728,\"after\":2048}\n" {
		t.Errorf("%s", r.stdout)
	}
}
