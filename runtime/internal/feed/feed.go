package feed

import (
	"context"
	"math/rand/v2"
	"runtime"
	"sync"
	"time"

	"github.com/waybill-dev/waybill/pipeline"
	"github.com/waybill-dev/waybill/runtime/internal/sched"
)

// Config is what a feed works with.
type Config struct {
	// Carriers is how many call Next, numbered from 0.
	Carriers int
	// Source is where items come from; only Claim and Pending are called.
	Source pipeline.Source
	// Distributor spreads claimed items over lanes; nil means one lane.
	Distributor pipeline.Distributor
	// Order gives every claim a place in a ring and hands out the oldest
	// first; nil means no order.
	Order *sched.Ring
	// UntilEmpty ends the feed when the source is empty.
	UntilEmpty bool
	// Poll says how long to wait after an empty claim.
	Poll Poll
	// Quiet is told of carriers with and without a flight; may be nil.
	Quiet *sched.Quiet
	// New returns what a flight's Own is to be, once per flight that is made;
	// Reset is called for each item that a flight is made or used again for,
	// under the feed's lock.
	New   func() any
	Reset func(*sched.Flight)
	// Claimed is called after each claim that returned items; it may be nil
	// and must not block.
	Claimed func(items []*pipeline.Item, start time.Time)
	// GiveBack is called, without locks, for each flight that was claimed but
	// that no carrier had taken when the feed was stopped. It must call End.
	GiveBack func(*sched.Flight)
	// Failed is called when a claim or a look at the queue failed. A true
	// answer ends the feed.
	Failed func(error) bool
}

// Poll is how long to wait after a claim that returned nothing: Min, doubled
// each time up to Busy while items are in flight, delayed or leased elsewhere,
// up to Idle otherwise. All waits are jittered.
type Poll struct{ Min, Busy, Idle time.Duration }

// DefaultPoll is 50 ms to 1 s busy, 2 s idle.
var DefaultPoll = Poll{50 * time.Millisecond, time.Second, 2 * time.Second}

const (
	claimMax = 32
	maxSpins = 4
)

// Feed hands flights to carriers. Make it with New.
type Feed struct {
	Config
	ctx context.Context

	mu       sync.Mutex
	carriers []carrier
	idlers   []*carrier // carriers asleep, the last to fall asleep at the end
	busy     int        // carriers with a flight
	lanes    lanes
	kids     []*sched.Flight
	held     []*sched.Flight // claimed and not ended, in no order
	spare    []*sched.Flight
	seq      uint64
	pace

	tally    Tally     // but for its Lanes
	claiming bool      // a carrier is inside Claim
	due      bool      // a claim may find something
	sleeper  *carrier  // the carrier that watches the clock
	wakeAt   time.Time // when a claim is due again
	paused   time.Time // no claim before that
	empties  int       // empty claims in a row
	failures int       // failed claims in a row
	eof      bool
	over     bool
	stopped  bool
	waking   bool // a carrier was woken and has not looked yet
}

// carrier is what the feed knows of one carrier.
type carrier struct {
	index int
	wake  chan struct{}
	idle  bool
	busy  bool
	taken int    // flights taken from its lanes
	warm  string // the key that it handled last
	batch batch
	// sample is the flight whose time is taken, since when.
	sample *sched.Flight
	since  time.Time
	// done are flights that ended on this carrier since it last asked; only
	// the carrier itself touches the list.
	done []ending
}

type ending struct {
	f     *sched.Flight
	again bool
}

// New returns a feed. Claims stop when ctx ends or Stop is called.
func New(ctx context.Context, c Config) *Feed {
	q := &Feed{Config: c, ctx: ctx, due: true, carriers: make([]carrier, c.Carriers)}
	q.lanes = newLanes(c.Distributor)
	q.Quiet.Unblock(c.Carriers) // all of them are about to ask for work
	for i := range q.carriers {
		q.carriers[i] = carrier{index: i, wake: make(chan struct{}, 1)}
	}
	return q
}

// Next waits for the next flight of a carrier and returns nil when there will
// be none any more. The flight that the carrier had before is over for it.
func (q *Feed) Next(index int) *sched.Flight {
	c := &q.carriers[index]
	if f := c.batch.pop(); f != nil {
		f.Untimed, f.Carrier = true, index
		return f
	}
	q.mu.Lock()
	defer q.mu.Unlock()
	if c.busy {
		c.busy = false
		q.busy--
		q.returned(c)
	}
	for i := range c.done {
		q.end(c.done[i].f, c.done[i].again)
	}
	c.done = c.done[:0]
	for spins := 0; ; {
		if q.superfluous() {
			q.nap(c)
			continue
		}
		if f := q.pick(c); f != nil {
			c.busy = true
			q.busy++
			f.Carrier = index
			q.handed(c, f)
			if q.waiting() > 0 || q.unwatched() {
				q.wakeOne()
			}
			return f
		}
		if q.over {
			q.wakeAll()
			q.Quiet.Block()
			return nil
		}
		if q.due && !q.eof && !q.claiming && q.free() > 0 {
			q.refill()
			spins = 0
			continue
		}
		if q.claiming && spins < maxSpins {
			// Most claims are quicker than falling asleep and waking up.
			spins++
			q.mu.Unlock()
			runtime.Gosched()
			q.mu.Lock()
			continue
		}
		q.unhurried() // there is nothing to hurry for
		q.sleep(c)
	}
}

func (q *Feed) waiting() int { return len(q.kids) + q.lanes.waiting }

// free is how many carriers have nothing to do and nothing waiting for them.
func (q *Feed) free() int { return q.Carriers - q.busy - q.waiting() }

// unwatched reports that claims go on and no carrier sees to it.
func (q *Feed) unwatched() bool { return !q.over && !q.claiming && q.sleeper == nil && q.free() > 0 }

// Fork puts the children of a flight into the feed, to go on at stage at. count
// is called for each before any of them can run.
func (q *Feed) Fork(parent *sched.Flight, at int, kids []*pipeline.Item, count func(*sched.Flight)) {
	var ring *sched.Ring
	if q.Order != nil {
		ring = sched.NewRing(len(kids))
	}
	q.mu.Lock()
	defer q.mu.Unlock()
	q.unhurried() // children come before what was claimed
	if parent.Carrier >= 0 {
		q.carriers[parent.Carrier].sample = nil // it ends elsewhere
	}
	from := len(q.kids)
	for i, it := range kids {
		f := q.flight(it)
		f.At, f.Ctx, f.Lane = at, parent.Ctx, parent.Lane
		if ring != nil {
			f.Turn = sched.NewTurn(ring, uint64(i), &parent.Turn)
		}
		q.kids = append(q.kids, f)
	}
	for _, f := range q.kids[from:] {
		count(f)
	}
	// The carrier that forked takes the first child itself.
	if len(kids) > 1 {
		q.wakeOne()
	}
}

// End says that a flight is over. again means that its item went back to the
// queue and may be claimed once more. It is called by the flight's carrier (for
// a parent: by the carrier of the last child, via) or, for a flight that no
// carrier has taken, by anybody with via nil.
func (q *Feed) End(f, via *sched.Flight, again bool) {
	if via != nil && via.Carrier >= 0 {
		c := &q.carriers[via.Carrier]
		c.done = append(c.done, ending{f, again}) // booked when it asks for more
		return
	}
	q.mu.Lock()
	defer q.mu.Unlock()
	q.end(f, again)
}

func (q *Feed) end(f *sched.Flight, again bool) {
	if f.Held >= 0 {
		q.drop(f)
		q.lanes.end(f)
		if again {
			q.eof = false
		}
		if !q.due && (q.paused.IsZero() || !time.Now().Before(q.paused)) {
			q.due, q.paused = true, time.Time{}
		}
		if len(q.held) == 0 {
			q.finish()
		}
		if q.lanes.waiting > 0 {
			q.wakeOne() // its key is free again
		}
	}
	q.spare = append(q.spare, f)
}

func (q *Feed) finish() {
	if q.eof {
		q.over = true
		q.wakeAll()
	}
}

// Pause holds claims back for d, because what they need is not there.
func (q *Feed) Pause(d time.Duration) {
	q.mu.Lock()
	defer q.mu.Unlock()
	until := time.Now().Add(d)
	if until.Before(q.paused) {
		return
	}
	q.due, q.paused, q.wakeAt = false, until, until
	if s := q.sleeper; s != nil {
		q.wake(s) // to set its clock anew
	}
}

// Stop ends claims and gives back the flights that no carrier has taken yet.
// Children stay: their parents are under way.
func (q *Feed) Stop() {
	q.mu.Lock()
	defer q.mu.Unlock()
	q.unhurried()
	q.over, q.stopped = true, true
	q.wakeAll()
	q.reject()
}

// reject gives back what waits in the lanes of a stopped feed.
func (q *Feed) reject() {
	flights := q.lanes.clear()
	q.mu.Unlock()
	for _, f := range flights {
		q.GiveBack(f)
	}
	q.mu.Lock()
}

// Held calls yield for each claimed flight that has not ended, while nothing
// can start or end. While the feed is brisk, flights of the worker's batch may
// start meanwhile, and some of them have ended already.
func (q *Feed) Held(yield func(*sched.Flight)) {
	q.mu.Lock()
	defer q.mu.Unlock()
	for _, f := range q.held {
		yield(f)
	}
}

// Tally is what the feed has claimed so far.
type Tally struct {
	// Begun and Ended count the calls of Claim, Items what they returned.
	Begun, Ended uint64
	Items        int64
	// Lanes are the key lanes of the items that calls which have ended returned
	// and that are not at their end.
	Lanes pipeline.LaneSet
}

// Tally returns what was claimed so far.
func (q *Feed) Tally() Tally {
	q.mu.Lock()
	defer q.mu.Unlock()
	t := q.tally
	for _, f := range q.held {
		if key := f.Item.Key; key != "" {
			t.Lanes |= 1 << pipeline.LaneOf(key)
		}
	}
	return t
}

// InFlight returns how many items are claimed and have not ended; while the feed
// is brisk, those of the worker's batch are booked together.
func (q *Feed) InFlight() int {
	q.mu.Lock()
	defer q.mu.Unlock()
	return len(q.held)
}

func (q *Feed) flight(it *pipeline.Item) *sched.Flight {
	var f *sched.Flight
	if n := len(q.spare); n > 0 {
		f = q.spare[n-1]
		q.spare = q.spare[:n-1]
	} else {
		f = &sched.Flight{Own: q.New()}
	}
	f.Reset(it)
	q.Reset(f)
	return f
}

func (q *Feed) hold(f *sched.Flight) {
	f.Held = len(q.held)
	q.held = append(q.held, f)
}

func (q *Feed) drop(f *sched.Flight) {
	last := q.held[len(q.held)-1]
	q.held[f.Held], last.Held = last, f.Held
	q.held = q.held[:len(q.held)-1]
}

func jitter(d time.Duration) time.Duration {
	return d/2 + rand.N(d/2+1)
}
