package chaostest

import (
	"context"
	"fmt"
	"sync"
	"time"

	"github.com/waybill-dev/waybill/pipeline"
)

// sampler adds up a queue again and again while everything goes on.
type sampler struct {
	queue    pipeline.Queue
	producer *producer

	mu      sync.Mutex
	last    pipeline.QueueStats
	samples int
	missed  int // the engine did not answer
	wrong   []string
}

// run samples until ctx ends.
func (s *sampler) run(ctx context.Context, every time.Duration) {
	tick := time.NewTicker(every)
	defer tick.Stop()
	for {
		s.sample(ctx)
		select {
		case <-tick.C:
		case <-ctx.Done():
			return
		}
	}
}

func (s *sampler) sample(ctx context.Context) {
	call, stop := context.WithTimeout(ctx, 10*time.Second)
	defer stop()
	least := s.producer.confirmed.Load()
	st, err := s.queue.Stats(call)
	most := s.producer.tried.Load()
	s.mu.Lock()
	defer s.mu.Unlock()
	if err != nil {
		s.missed++
		return
	}
	s.samples++
	for what, bad := range map[string]bool{
		"the states do not add up":         st.Enqueued != st.Ready+st.Leased+st.Done+st.Dead,
		"more is delayed than ready":       st.Delayed > st.Ready,
		"items came back from their end":   st.Done < s.last.Done || st.Dead < s.last.Dead,
		"fewer than were confirmed":        st.Enqueued < least,
		"more than anybody has enqueued":   st.Enqueued > most,
		"fewer are enqueued than a moment": st.Enqueued < s.last.Enqueued,
	} {
		if bad {
			s.wrong = append(s.wrong, fmt.Sprintf("sum: %s: %+v after %+v; %d confirmed, %d tried", what, st, s.last, least, most))
		}
	}
	s.last = st
}

// ended is how many items had ended at the last sample.
func (s *sampler) ended() int64 {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.last.Done + s.last.Dead
}
