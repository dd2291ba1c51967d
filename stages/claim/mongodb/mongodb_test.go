package mongodb_test

import (
	"context"
	"fmt"
	"os"
	"sync"
	"testing"
	"time"

	"github.com/waybill-dev/waybill/pipeline"
	"github.com/waybill-dev/waybill/stages/claim/claimtest"
	"github.com/waybill-dev/waybill/stages/claim/mongodb"
	"go.uber.org/goleak"
)

func TestMain(m *testing.M) {
	code := claimtest.Main(m, func(location string, o pipeline.QueueOptions) (pipeline.Queue, error) {
		return open(mongodb.Driver(), location, o)
	})
	servers.Close()
	if err := goleak.Find(); code == 0 && err != nil {
		fmt.Fprintln(os.Stderr, err)
		code = 1
	}
	os.Exit(code)
}

func TestConformance(t *testing.T) { claimtest.Exercise(t, newStore) }

// newStore is an empty place under a clock that stands still.
func newStore(t testing.TB) claimtest.Store {
	c := &clock{now: time.Now()}
	driver := mongodb.Driver(mongodb.WithClock(c.Now))
	url := emptyStore(t)
	return claimtest.Store{
		Location: url,
		Open:     func(o pipeline.QueueOptions) (pipeline.Queue, error) { return open(driver, url, o) },
		Advance: func(t testing.TB, q pipeline.Queue, d time.Duration) {
			t.Helper()
			c.Advance(d)
			if _, err := q.(*mongodb.Queue).Reap(context.Background()); err != nil {
				t.Fatalf("reap: %v", err)
			}
		},
		Spoil: func(t testing.TB, _ pipeline.Queue, id string) { mongodb.Spoil(t, url, "default", id) },
	}
}

func open(d pipeline.QueueDriver, url string, o pipeline.QueueOptions) (*mongodb.Queue, error) {
	src, err := d.Open(context.Background(), url, o)
	if err != nil {
		return nil, err
	}
	return src.(*mongodb.Queue), nil
}

// clock stands still until it is moved.
type clock struct {
	mu  sync.Mutex
	now time.Time
}

func (c *clock) Now() time.Time {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.now
}

func (c *clock) Advance(d time.Duration) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.now = c.now.Add(d)
}
