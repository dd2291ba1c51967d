package nats_test

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/url"
	"runtime"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/nats-io/nats-server/v2/server"
	"github.com/waybill-dev/waybill/internal/nettest"
	"github.com/waybill-dev/waybill/pipeline"
	"github.com/waybill-dev/waybill/stages/claim/nats"
)

// TestClusterLosesNodes: three nodes and three processes that work on keyed items.
// A node that follows is shut down, it comes back, and then the leader is shut
// down. Every item ends exactly once, keys keep their order, and the counts add up.
func TestClusterLosesNodes(t *testing.T) {
	t.Parallel()
	c := startCluster(t, 3)
	const items, keys = 180, 5
	queues := make([]*nats.Queue, 3)
	for i := range queues {
		queues[i] = mustOpen(t, c.url(), pipeline.QueueOptions{Create: true, Owner: fmt.Sprint("worker-", i)})
	}
	var all []pipeline.NewItem
	for i := range items {
		all = append(all, pipeline.NewItem{ID: fmt.Sprintf("%03d", i), Key: fmt.Sprint(i % keys), Body: []byte(`{"n":1}`)})
	}
	if _, err := queues[0].Enqueue(t.Context(), all); err != nil {
		t.Fatal(err)
	}
	ends := newEnds()
	var follower, leader sync.Once
	lost := 0
	var wg sync.WaitGroup
	for w := range 6 {
		q := queues[w%len(queues)]
		wg.Go(func() {
			err := drain(t.Context(), q, ends, func(done int64) {
				if done >= items/3 {
					follower.Do(func() { lost = (c.leader(t) + 1) % 3; c.stop(lost) })
				}
				if done >= 2*items/3 {
					leader.Do(func() { c.start(t, lost); c.await(t); c.stop(c.leader(t)) })
				}
			})
			if err != nil {
				t.Error(err)
			}
		})
	}
	wg.Wait()
	ends.check(t, items)
	for _, q := range queues {
		if s, err := q.Stats(t.Context()); err != nil || s.Done != items || s.Enqueued != items {
			t.Errorf("stats %+v, error %v; want %d done", s, err, items)
		}
	}
}

// TestClusterTooSmall: a queue of five replicas is made on three nodes. That waits for
// more nodes, and says so, and after its time it says what is missing.
func TestClusterTooSmall(t *testing.T) {
	t.Parallel()
	url := strings.Replace(startCluster(t, 3).url(), "replicas=3", "replicas=5", 1)
	var log strings.Builder
	_, err := open(nats.Driver(nats.WithPeersWithin(100*time.Millisecond)), url,
		pipeline.QueueOptions{Create: true, Log: slog.New(slog.NewTextHandler(&log, nil))})
	if pipeline.CodeOf(err) != "too-few-nodes" || pipeline.KindOf(err) != pipeline.Unavailable {
		t.Errorf("opened with five replicas on three nodes: %v", err)
	}
	if n := strings.Count(log.String(), "too few nodes"); n != 1 {
		t.Errorf("it said %d times that it waits:\n%s", n, log.String())
	}
}

// TestClusterJustStarted: a queue is made while the nodes still look for each other.
// Their leader may not know of all of them then.
func TestClusterJustStarted(t *testing.T) {
	t.Parallel()
	c := newCluster(t, 3)
	for i := range c.nodes {
		c.start(t, i)
	}
	if !c.nodes[0].ReadyForConnections(time.Minute) {
		t.Fatal("no node accepts connections")
	}
	mustOpen(t, c.url(), pipeline.QueueOptions{Create: true})
}

// ends notes how items end and in which order their keys go.
type ends struct {
	mu    sync.Mutex
	times map[string]int
	order map[string][]string
	done  atomic.Int64
}

func newEnds() *ends { return &ends{times: map[string]int{}, order: map[string][]string{}} }

func (e *ends) add(it *pipeline.Item) {
	e.mu.Lock()
	defer e.mu.Unlock()
	e.times[it.ID]++
	e.order[it.Key] = append(e.order[it.Key], it.ID)
	e.done.Add(1)
}

func (e *ends) check(t *testing.T, items int) {
	t.Helper()
	if len(e.times) != items {
		t.Errorf("%d of %d items ended", len(e.times), items)
	}
	for id, n := range e.times {
		if n != 1 {
			t.Errorf("%s ended %d times", id, n)
		}
	}
	for key, ids := range e.order {
		for i := 1; i < len(ids) && key != ""; i++ {
			if ids[i-1] >= ids[i] {
				t.Errorf("key %s went %v", key, ids)
				break
			}
		}
	}
}

// drain claims and acknowledges until nothing is pending. What the server did
// not answer to is tried again, as an engine would.
func drain(ctx context.Context, q *nats.Queue, e *ends, ended func(done int64)) error {
	for {
		items, err := q.Claim(ctx, 2)
		if err != nil && pipeline.KindOf(err) != pipeline.Unavailable {
			return err
		}
		if len(items) == 0 {
			if n, _, err := q.Pending(ctx); n == 0 && err == nil {
				return nil
			}
		}
		for _, it := range items {
			if string(it.Input) != `{"n":1}` {
				return fmt.Errorf("%s came with the body %q, condemned: %v", it.ID, it.Input, it.Condemned)
			}
			e.add(it) // while the lease is held, so that the order is the queue's
			for {
				err := q.Ack(ctx, it, pipeline.Outcome{Result: pipeline.Succeeded})
				if err == nil {
					break
				}
				if errors.Is(err, pipeline.ErrLeaseLost) || pipeline.KindOf(err) != pipeline.Unavailable {
					return err
				}
			}
			ended(e.done.Load())
		}
	}
}

// cluster is some nodes on loopback.
type cluster struct {
	nodes   []*server.Server
	options []*server.Options
}

// startCluster runs n nodes and returns when they have a leader.
func startCluster(t testing.TB, n int) *cluster {
	t.Helper()
	c := newCluster(t, n)
	for i := range n {
		c.start(t, i)
	}
	c.await(t)
	return c
}

// newCluster is n nodes that nobody has started.
func newCluster(t testing.TB, n int) *cluster {
	t.Helper()
	ports := nettest.FreePorts(t, 2*n)
	var routes []*url.URL
	for _, p := range ports[:n] {
		routes = append(routes, &url.URL{Scheme: "nats", Host: fmt.Sprint("127.0.0.1:", p)})
	}
	c := &cluster{nodes: make([]*server.Server, n)}
	for i := range n {
		c.options = append(c.options, &server.Options{ServerName: fmt.Sprint("node-", i), Host: "127.0.0.1", Port: ports[n+i], NoSigs: true, NoLog: true,
			JetStream: true, StoreDir: t.TempDir(), SyncAlways: true, MaxPayload: 2 << 20, Routes: routes,
			Cluster: server.ClusterOpts{Name: "test", Host: "127.0.0.1", Port: ports[i]}})
		t.Cleanup(func() { c.stop(i) })
	}
	return c
}

// url names all nodes.
func (c *cluster) url() string {
	var hosts []string
	for _, o := range c.options {
		hosts = append(hosts, fmt.Sprintf("%s:%d", o.Host, o.Port))
	}
	return "nats://" + strings.Join(hosts, ",") + "?replicas=3"
}

func (c *cluster) start(t testing.TB, i int) {
	s, err := server.NewServer(c.options[i].Clone())
	if err != nil {
		t.Error(err)
		return
	}
	c.nodes[i] = s
	s.Start()
}

func (c *cluster) stop(i int) {
	c.nodes[i].Shutdown()
	c.nodes[i].WaitForShutdown()
}

// await returns when all nodes have what the leader has. Nothing tells when that
// is.
func (c *cluster) await(t testing.TB) {
	t.Helper()
	giveUp, look := time.After(time.Minute), time.NewTicker(20*time.Millisecond)
	defer look.Stop()
	for !c.ready() {
		select {
		case <-look.C:
		case <-giveUp:
			t.Error("the cluster has no leader after a minute")
			return
		}
	}
}

func (c *cluster) ready() bool {
	leader := false
	for _, n := range c.nodes {
		if !n.ReadyForConnections(time.Second) || !n.JetStreamIsCurrent() {
			return false
		}
		leader = leader || n.JetStreamIsLeader()
	}
	return leader
}

// leader returns which node leads the stream of the default queue.
func (c *cluster) leader(t testing.TB) int {
	t.Helper()
	for giveUp := time.After(time.Minute); ; {
		for i, n := range c.nodes {
			if n.JetStreamIsStreamLeader(server.DEFAULT_GLOBAL_ACCOUNT, "waybill-default") {
				return i
			}
		}
		select {
		case <-giveUp:
			t.Error("the stream has no leader after a minute")
			return 0
		default:
			runtime.Gosched()
		}
	}
}

func mustOpen(t testing.TB, url string, o pipeline.QueueOptions) *nats.Queue {
	t.Helper()
	return openWith(t, nats.Driver(), url, o)
}

func openWith(t testing.TB, d pipeline.QueueDriver, url string, o pipeline.QueueOptions) *nats.Queue {
	t.Helper()
	q, err := open(d, url, o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = q.Close() })
	return q
}
