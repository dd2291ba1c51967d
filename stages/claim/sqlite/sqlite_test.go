package sqlite_test

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"sync"
	"testing"
	"time"

	"github.com/waybill-dev/waybill/pipeline"
	"github.com/waybill-dev/waybill/stages/claim/claimtest"
	"github.com/waybill-dev/waybill/stages/claim/sqlite"
	"go.uber.org/goleak"
)

func TestMain(m *testing.M) {
	if path := os.Getenv(workerEnv); path != "" {
		os.Exit(worker(path))
	}
	code := claimtest.Main(m, func(location string, o pipeline.QueueOptions) (pipeline.Queue, error) {
		return open(sqlite.Driver(), location, o)
	})
	if err := goleak.Find(); code == 0 && err != nil {
		fmt.Fprintln(os.Stderr, err)
		code = 1
	}
	os.Exit(code)
}

func TestConformance(t *testing.T) {
	claimtest.Exercise(t, newStore)
}

// newStore returns a file that is not there yet, under a clock that stands
// still.
func newStore(t testing.TB) claimtest.Store {
	c := &clock{now: time.Now()}
	driver := sqlite.Driver(sqlite.WithClock(c.Now))
	path := filepath.Join(t.TempDir(), "queue.db")
	return claimtest.Store{
		Location: path,
		Open:     func(o pipeline.QueueOptions) (pipeline.Queue, error) { return open(driver, path, o) },
		Spoil: func(t testing.TB, _ pipeline.Queue, id string) {
			t.Helper()
			execSQL(t, path, `UPDATE payloads SET meta='{"m":' WHERE seq=(SELECT seq FROM items WHERE id='`+id+`')`)
		},
		Advance: func(t testing.TB, q pipeline.Queue, d time.Duration) {
			t.Helper()
			c.Advance(d)
			if _, err := q.(*sqlite.Queue).Reap(context.Background()); err != nil {
				t.Fatalf("reap: %v", err)
			}
		},
	}
}

// TestCrashPoints kills a process before and after each commit.
func TestCrashPoints(t *testing.T) {
	claimtest.CrashPoints(t, newStore, func(location string, o pipeline.QueueOptions, point func(name string)) (pipeline.Queue, error) {
		return open(sqlite.Driver(sqlite.WithPoints(point)), location, o)
	})
}

func open(d pipeline.QueueDriver, path string, o pipeline.QueueOptions) (*sqlite.Queue, error) {
	src, err := d.Open(context.Background(), "sqlite:"+path, o)
	if err != nil {
		return nil, err
	}
	return src.(*sqlite.Queue), nil
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
