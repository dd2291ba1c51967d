package mongoconn

import (
	"context"
	"sync"
	"time"

	"go.mongodb.org/mongo-driver/v2/bson"
	"go.mongodb.org/mongo-driver/v2/mongo"
)

// clock follows the clock of the primary. Between two looks it runs on
// this machine's monotonic clock, so that setting the machine's time changes
// nothing.
type clock struct {
	mu   sync.Mutex
	base time.Time     // the server's time at the moment since
	at   time.Time     // has a monotonic reading
	slop time.Duration // half the round trip of that look: the error's bound
}

// staleAfter is when a worse look replaces a better one: quartz drifts by some
// 50 ms in that time at most, and the primary may be another machine by then.
const staleAfter = 10 * time.Minute

// sync asks the primary for its time and keeps the answer if it is sharper than
// the last one, or that is old, or the clock was set.
func (c *clock) sync(ctx context.Context, db *mongo.Database) error {
	var answer struct {
		LocalTime bson.DateTime `bson:"localTime"`
	}
	start := time.Now()
	if err := db.RunCommand(ctx, bson.D{{Key: "hello", Value: 1}}).Decode(&answer); err != nil {
		return err
	}
	slop := time.Since(start) / 2
	c.observe(answer.LocalTime.Time(), start.Add(slop), slop)
	return nil
}

// observe takes in that the server's clock showed base at the local moment at,
// give or take slop.
func (c *clock) observe(base, at time.Time, slop time.Duration) {
	c.mu.Lock()
	defer c.mu.Unlock()
	off := base.Sub(c.base.Add(at.Sub(c.at))).Abs()
	if c.at.IsZero() || slop <= c.slop || at.Sub(c.at) > staleAfter || off > slop+c.slop+time.Millisecond {
		c.base, c.at, c.slop = base, at, slop
	}
}

// now is the server's time.
func (c *clock) now() time.Time {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.base.Add(time.Since(c.at))
}
