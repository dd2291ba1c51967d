package sqlite

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/waybill-dev/waybill/pipeline"
	"github.com/waybill-dev/waybill/stages/internal/durable"
	_ "modernc.org/sqlite" // the "sqlite" driver of database/sql
)

// Scheme is the URL scheme: "sqlite:var/queue.db".
const Scheme = "sqlite"

// Option changes a driver, for tests.
type Option func(*settings)

type settings struct {
	clock func() time.Time
	point func(name string) // called between every two durable steps
}

// WithClock replaces the store's clock. All queues of the driver use it.
func WithClock(now func() time.Time) Option {
	return func(s *settings) { s.clock = now }
}

// Driver returns the driver of the scheme "sqlite". What it opens is a *Queue.
func Driver(opts ...Option) pipeline.QueueDriver {
	set := settings{clock: time.Now, point: func(string) {}}
	for _, o := range opts {
		o(&set)
	}
	wakes := &bells{}
	return pipeline.QueueDriver{
		Scheme: Scheme,
		Doc:    "sqlite:FILE, the embedded queue: one file, no server",
		Takes:  []string{"lanes"},
		Open: func(ctx context.Context, url string, o pipeline.QueueOptions) (pipeline.Source, error) {
			q, err := open(ctx, url, o, set, wakes)
			if err != nil {
				return nil, err
			}
			return q, nil
		},
	}
}

// Queue is one queue of a file. Its methods may be called at the same time.
type Queue struct {
	url     string
	path    string
	name    string
	id      int64 // of the row in queues
	opt     pipeline.QueueOptions
	set     settings
	now     func() time.Time
	log     *slog.Logger
	wakes   *bells
	bell    chan struct{}
	reads   *sql.DB
	writes  *writer
	started sync.Mutex   // guards the start and the end of the reaper
	floor   atomic.Int64 // tokens of this opened queue are at least this; 0: not begun
	picks   int64        // claims so far, for ageing; the writer's goroutine only
	stop    chan struct{}
	reaper  sync.WaitGroup
	closing sync.Once
}

var _ interface {
	pipeline.Queue
	pipeline.QueueTools
	pipeline.Records
	pipeline.Waker
} = (*Queue)(nil)

func open(ctx context.Context, rawURL string, o pipeline.QueueOptions, set settings, wakes *bells) (*Queue, error) {
	path, err := filePath(rawURL, o.Dir)
	if err != nil {
		return nil, err
	}
	if o, err = o.ForQueue(rawURL); err != nil {
		return nil, err
	}
	q := &Queue{url: rawURL, path: path, name: o.Queue, opt: o, set: set, now: set.clock, log: o.Log,
		wakes: wakes, bell: make(chan struct{}, 1), stop: make(chan struct{})}
	if err := prepareFile(path, o.Create); err != nil {
		if errors.Is(err, fs.ErrNotExist) {
			return nil, q.absent(fmt.Errorf("the file %s does not exist", path))
		}
		return nil, q.fail("open", err)
	}
	if err := q.connect(ctx); err != nil {
		_ = q.Close()
		return nil, err
	}
	wakes.add(place{path, q.id}, q.bell)
	return q, nil
}

// connect opens the connections, checks the schema and finds the queue.
func (q *Queue) connect(ctx context.Context) error {
	mode := "rw"
	if q.opt.Create {
		mode = "rwc"
	}
	var err error
	if q.writes, err = openWriter(ctx, dsn(q.path, mode), q.set, q.ring, q.opt.Create); err != nil {
		return q.explain(err)
	}
	if q.reads, err = sql.Open("sqlite", dsn(q.path, "rw", "query_only(1)")); err != nil {
		return q.fail("open", err)
	}
	q.reads.SetMaxOpenConns(4)
	if q.opt.Create {
		err = q.writes.do(ctx, true, func(t *tx) error {
			_, err := t.exec(`INSERT INTO queues(name) VALUES(?) ON CONFLICT DO NOTHING`, q.name)
			return err
		})
		if err != nil {
			return q.fail("create queue", err)
		}
	}
	err = q.reads.QueryRowContext(ctx, `SELECT id FROM queues WHERE name=?`, q.name).Scan(&q.id)
	if errors.Is(err, sql.ErrNoRows) {
		known, err := q.Queues(ctx)
		if err != nil {
			return err
		}
		return q.absent(fmt.Errorf("the file has the queues [%s]", strings.Join(known, ", ")))
	}
	return q.fail("open", err)
}

// explain turns a schema error into one that names the URL.
func (q *Queue) explain(err error) error {
	if errors.Is(err, errEmpty) {
		return q.absent(errors.New("the file is empty"))
	}
	var known *pipeline.Error
	if errors.As(err, &known) {
		known.Err = fmt.Errorf("%s: %w", q.url, known.Err)
		return known
	}
	return q.fail("open", err)
}

// absent is the error for a queue that is not there.
func (q *Queue) absent(why error) error {
	return pipeline.Fail("no-queue", "%s: queue %q: %w: %w", q.url, q.name, pipeline.ErrNoQueue, why).
		WithHint("waybill enqueue --to %s --queue %s items.jsonl makes it", q.url, q.name)
}

// filePath returns the absolute path of a sqlite: URL; sqlite:///x is /x.
func filePath(rawURL, dir string) (string, error) {
	scheme, rest, _ := pipeline.SplitURL(rawURL)
	if scheme != Scheme {
		return "", pipeline.Fail("bad-url", "%q is not a %s: URL", rawURL, Scheme)
	}
	path, err := pipeline.FilePath("file:"+rest, dir)
	if err != nil || strings.HasSuffix(rest, "/") {
		return "", pipeline.Fail("bad-url", "%q names no file", rawURL).WithHint("for example sqlite:var/queue.db")
	}
	return filepath.Abs(path)
}

// prepareFile makes the file and its folder if create says so, and else finds
// out whether it is there.
func prepareFile(path string, create bool) error {
	if !create {
		_, err := os.Stat(path)
		return err
	}
	return durable.MkdirAll(filepath.Dir(path), 0o755)
}

// dsn returns the data source name of one connection. Pragmas run in order.
func dsn(path, mode string, pragmas ...string) string {
	v := url.Values{"mode": {mode}, "_pragma": append([]string{"busy_timeout(10000)"}, pragmas...)}
	return "file:" + (&url.URL{Path: path}).EscapedPath() + "?" + v.Encode()
}

// Lease returns how long a claim lasts without renewal.
func (q *Queue) Lease() time.Duration { return q.opt.Lease }

// Close ends the reaper and the writer, after the writes that it has accepted.
func (q *Queue) Close() error {
	var err error
	q.closing.Do(func() {
		q.started.Lock() // no reaper starts from here on
		close(q.stop)
		q.started.Unlock()
		q.reaper.Wait()
		q.wakes.remove(place{q.path, q.id}, q.bell)
		if q.reads != nil {
			err = q.reads.Close()
		}
		if q.writes != nil {
			err = errors.Join(err, q.writes.close())
		}
	})
	return err
}
