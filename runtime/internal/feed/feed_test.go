package feed_test

import (
	"context"
	"fmt"
	"slices"
	"testing"
	"testing/synctest"
	"time"

	"go.uber.org/goleak"

	"github.com/waybill-dev/waybill/pipeline"
	"github.com/waybill-dev/waybill/runtime/internal/feed"
	"github.com/waybill-dev/waybill/runtime/internal/sched"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// lanes places items by what their meta says.
type lanes struct {
	n    int
	prio bool
}

func (l lanes) Lanes() int       { return l.n }
func (l lanes) ByPriority() bool { return l.prio }
func (l lanes) Place(it *pipeline.Item, load []int) (pipeline.Placement, error) {
	if it.Meta["bad"] != "" {
		return pipeline.Placement{}, pipeline.Fail("lane", "no lane")
	}
	lane := 0
	fmt.Sscan(it.Meta["lane"], &lane)
	return pipeline.Placement{Lane: lane, Key: it.Meta["key"]}, nil
}

// list is a source of items that are claimed once.
type list struct {
	endless
	rest []*pipeline.Item
	most []int // what was asked for
}

func (l *list) Claim(_ context.Context, most int) ([]*pipeline.Item, error) {
	l.most = append(l.most, most)
	n := min(most, len(l.rest))
	out := l.rest[:n]
	l.rest = l.rest[n:]
	return out, nil
}

func item(id string, priority int, meta ...string) *pipeline.Item {
	it := &pipeline.Item{ID: id, Priority: priority, Meta: map[string]string{}}
	for i := 0; i+1 < len(meta); i += 2 {
		it.Meta[meta[i]] = meta[i+1]
	}
	return it
}

func newFeed(carriers int, src pipeline.Source, d pipeline.Distributor) *feed.Feed {
	return feed.New(context.Background(), feed.Config{Carriers: carriers, Source: src, Distributor: d, UntilEmpty: true,
		Poll: feed.DefaultPoll, New: func() any { return nil }, Reset: func(*sched.Flight) {},
		GiveBack: func(*sched.Flight) {}})
}

// take lets one carrier take what it can get, ending each flight at once.
func take(q *feed.Feed, carrier, n int) (ids []string) {
	for range n {
		f := q.Next(carrier)
		if f == nil {
			break
		}
		ids = append(ids, f.Item.ID)
		q.End(f, f, false)
	}
	return ids
}

func TestOneCarrierClaimsForTheFreeOnes(t *testing.T) {
	src := &list{rest: []*pipeline.Item{item("a", 0), item("b", 0), item("c", 0), item("d", 0), item("e", 0)}}
	q := newFeed(3, src, nil)
	first := q.Next(0) // claims 3: all carriers are free
	second := q.Next(1)
	third := q.Next(2)
	if got := fmt.Sprint(first.Item.ID, second.Item.ID, third.Item.ID); got != "abc" {
		t.Errorf("got %s", got)
	}
	q.End(second, second, false)
	if f := q.Next(1); f.Item.ID != "d" {
		t.Errorf("got %s", f.Item.ID)
	}
	if !slices.Equal(src.most, []int{3, 1}) {
		t.Errorf("claimed %v, want 3 and then 1: never more than there are free carriers", src.most)
	}
}

func TestPriorityLaneGivesEveryEighthToTheOldest(t *testing.T) {
	src := &list{}
	for i := range 16 {
		src.rest = append(src.rest, item(fmt.Sprintf("low%02d", i), 0))
	}
	for i := range 16 {
		src.rest = append(src.rest, item(fmt.Sprintf("high%02d", i), 9))
	}
	q := newFeed(32, src, lanes{1, true})
	got := take(q, 0, 16)
	var low []int
	for i, id := range got {
		if id[:3] == "low" {
			low = append(low, i)
		}
	}
	if !slices.Equal(low, []int{7, 15}) {
		t.Errorf("low items came at %v of %v, want at 7 and 15", low, got)
	}
}

func TestCarrierPrefersItsLaneThenItsWarmKeyThenSteals(t *testing.T) {
	src := &list{rest: []*pipeline.Item{
		item("a1", 0, "lane", "0", "key", "a"), item("b1", 0, "lane", "0", "key", "b"), item("a2", 0, "lane", "0", "key", "a"),
		item("c1", 0, "lane", "1", "key", "c"), item("b2", 0, "lane", "0", "key", "b"),
	}}
	q := newFeed(6, src, lanes{2, false})
	if got := take(q, 0, 4); !slices.Equal(got, []string{"a1", "a2", "b1", "b2"}) {
		t.Errorf("carrier 0 took %v: want its lane, and of that the key it has warm first", got)
	}
	if got := take(q, 0, 1); !slices.Equal(got, []string{"c1"}) {
		t.Errorf("carrier 0 took %v, want to steal c1", got)
	}
}

func TestKeyRunsOnceAtATime(t *testing.T) {
	src := &list{rest: []*pipeline.Item{
		item("a1", 0, "key", "a"), item("a2", 0, "key", "a"), item("b1", 0, "key", "b"), item("a3", 0, "key", "a")}}
	q := newFeed(4, src, lanes{1, false})
	a1, b1 := q.Next(0), q.Next(1)
	if a1.Item.ID != "a1" || b1.Item.ID != "b1" {
		t.Fatalf("took %s and %s", a1.Item.ID, b1.Item.ID)
	}
	q.End(a1, a1, false)
	if f := q.Next(0); f.Item.ID != "a2" {
		t.Errorf("took %s, want a2: the next of its key", f.Item.ID)
	}
}

func TestBadPlacementIsTheItemsOwnFailure(t *testing.T) {
	src := &list{rest: []*pipeline.Item{item("a", 0, "bad", "yes"), item("b", 0, "lane", "7"), item("c", 0)}}
	q := newFeed(3, src, lanes{2, false})
	for range 3 {
		f := q.Next(0)
		if bad := f.Item.ID != "c"; bad != (pipeline.CodeOf(f.Err) == "lane") {
			t.Errorf("%s: error %v", f.Item.ID, f.Err)
		}
		q.End(f, f, false)
	}
}

func TestChildrenComeBeforeNewClaims(t *testing.T) {
	src := &list{rest: []*pipeline.Item{item("a", 0), item("b", 0)}}
	q := newFeed(1, src, nil)
	a := q.Next(0)
	q.Fork(a, 3, []*pipeline.Item{item("a1", 0), item("a2", 0)}, func(*sched.Flight) {})
	var got []string
	for range 2 {
		f := q.Next(0)
		got = append(got, fmt.Sprint(f.Item.ID, "@", f.At))
		q.End(f, f, false)
	}
	q.End(a, a, false)
	if got = append(got, q.Next(0).Item.ID); !slices.Equal(got, []string{"a1@3", "a2@3", "b"}) {
		t.Errorf("took %v", got)
	}
}

func TestSleepingCarriersPollLessAndLess(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		src := &list{endless: endless{left: 1}} // Pending is never 0
		q := newFeed(4, src, nil)
		for i := range 4 {
			go q.Next(i)
		}
		time.Sleep(time.Minute)
		synctest.Wait()
		if n := len(src.most); n < 50 || n > 140 {
			t.Errorf("%d claims in a minute by four idle carriers, want about one a second", n)
		}
		q.Pause(time.Hour)
		before := len(src.most)
		time.Sleep(50 * time.Minute)
		synctest.Wait()
		if n := len(src.most); n != before {
			t.Errorf("%d claims in a pause", n-before)
		}
		q.Stop()
		synctest.Wait()
	})
}
