package runtime

import (
	"context"
	"errors"
	"os"

	"github.com/waybill-dev/waybill/pipeline"
	"github.com/waybill-dev/waybill/runtime/cluster"
)

// join makes the run one of the processes on its queue, if the queue's store
// keeps records. Without them limits hold in this process.
func (e *engine) join(ctx context.Context) error {
	records, shared := e.source.(pipeline.Records)
	queue, leased := e.sharing()
	if !shared {
		if leased {
			return errors.New("lanes: leased needs a queue whose store keeps records, and this one does not")
		}
		if !e.limited() {
			return nil
		}
		records = new(cluster.Memory)
	}
	host, _ := os.Hostname() // for people; empty is no harm
	m, err := cluster.Join(ctx, records, cluster.Options{
		Worker: cluster.Worker{Queue: queue, Run: e.o.RunID, Host: host, PID: os.Getpid(), Pipeline: e.plan.Name,
			Digest: e.plan.Digest, Version: e.plan.Version, Leased: leased},
		Rollback: e.o.Rollback, Hand: e.hand, Counters: e.count, Gained: e.feed.Wake, Log: e.log,
		Superseded: func(other *cluster.SupersededError) { e.halt(other) },
	})
	if err != nil {
		return e.clean(err)
	}
	for _, s := range e.stages {
		if l := s.plan.Limit; l != nil {
			s.limit = m.Limiter(s.plan.Name, cluster.Limit{Concurrency: l.Concurrency, Rate: l.Rate})
		}
	}
	e.member.Store(m)
	keep, stop := context.WithCancel(context.WithoutCancel(ctx))
	e.stopKeep = stop
	e.keeper.Go(func() { m.Keep(keep) })
	return nil
}

// quit leaves the queue, after everything that was claimed has ended.
func (e *engine) quit() {
	m := e.member.Load()
	if m == nil {
		return
	}
	e.stopKeep()
	if len(e.abandoned) > 0 {
		m.Abandon() // what still runs keeps its permits until the session ends by itself
		return
	}
	if !within(waited(&e.keeper), e.o.Grace) {
		m.Abandon()
		return // the store hangs; the session ends by itself
	}
	ctx, stop := context.WithTimeout(context.Background(), e.o.Grace)
	defer stop()
	if err := m.Leave(ctx); err != nil {
		e.log.Warn("the queue could not be left; its records end by themselves", "error", e.clean(err))
	}
}

// sharing asks the source's config.
func (e *engine) sharing() (queue string, leased bool) {
	if s, ok := e.plan.Stages[0].Config.(pipeline.Shared); ok {
		return s.Sharing()
	}
	return "default", false
}

func (e *engine) limited() bool {
	for _, s := range e.stages {
		if s.plan.Limit != nil {
			return true
		}
	}
	return false
}

// lanes is pipeline.Env.Lanes.
func (e *engine) lanes() pipeline.LaneSet {
	if m := e.member.Load(); m != nil {
		return m.Lanes()
	}
	return 0
}

func (e *engine) hand() cluster.Hand {
	t := e.feed.Tally()
	return cluster.Hand{Lanes: t.Lanes, Begun: t.Begun, Ended: t.Ended}
}

func (e *engine) count() cluster.Counters {
	c := &e.stats
	return cluster.Counters{Claimed: e.feed.Tally().Items, Succeeded: c.successful.Load(), Skipped: c.skipped.Load(),
		Failed: c.failed.Load(), Dead: c.dead.Load(), InFlight: int64(e.feed.InFlight())}
}

// heed claims anew when the source says that it has something, until stop is
// closed.
func (e *engine) heed(wakes <-chan struct{}, stop <-chan struct{}) {
	for {
		select {
		case <-wakes:
			e.feed.Wake()
		case <-stop:
			return
		}
	}
}
