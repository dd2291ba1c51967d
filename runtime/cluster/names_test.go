package cluster

import (
	"regexp"
	"testing"

	"github.com/waybill-dev/waybill/pipeline"
)

// TestPart: names that differ stay different, and all are what pipeline.Record
// allows.
func TestPart(t *testing.T) {
	seen := map[string]string{}
	valid := regexp.MustCompile(`^[A-Za-z0-9._-]+$`)
	for _, text := range []string{"", "a", "A", "_", "a/b", "a_2fb", "ü", "a b", "..", ".", "-", "a.b", "pages", "PAGES"} {
		got := part(text)
		if other, dup := seen[got]; dup {
			t.Errorf("%q and %q are both %q", text, other, got)
		}
		seen[got] = text
		if !valid.MatchString(got) {
			t.Errorf("%q", got)
		}
	}
	if keyPart("a") == keyPart("b") || !valid.MatchString(keyPart("x/y")) {
		t.Error("keys")
	}
}

// TestFairShare: the shares are all lanes, and none is larger than another by more
// than one, with more processes than lanes too.
func TestFairShare(t *testing.T) {
	for n := 1; n < 200; n++ {
		sum, least, most := 0, pipeline.QueueLanes, 0
		for rank := range n {
			share := fairShare(rank, n)
			sum, least, most = sum+share, min(least, share), max(most, share)
		}
		if sum != pipeline.QueueLanes || most-least > 1 {
			t.Errorf("%d processes: %d lanes in all, from %d to %d each", n, sum, least, most)
		}
	}
}
