package cdp

import (
	"context"
	"slices"
	"sync"
)

// gate admits a number of holders at a time. Those who wait are served first
// come first served inside their group, and groups take turns, so that one with
// a long queue does not keep the others out.
type gate struct {
	mu      sync.Mutex
	free    int
	held    int
	shut    bool // nobody is admitted while somebody is inside
	waiting int
	most    int // waiters
	queues  map[string][]*waiter
	turn    []string // groups with waiters; the first is next
}

type waiter struct{ admitted chan struct{} }

func newGate(places, waiters int) *gate {
	return &gate{free: places, most: waiters, queues: map[string][]*waiter{}}
}

// enter waits for a place until ctx or life ends. Each nil is followed by one
// leave.
func (g *gate) enter(ctx, life context.Context, group string) error {
	g.mu.Lock()
	if life.Err() != nil {
		g.mu.Unlock()
		return context.Cause(life)
	}
	if ctx.Err() != nil {
		g.mu.Unlock()
		return cancelled(ctx)
	}
	if g.waiting == 0 && g.open() {
		g.admit()
		g.mu.Unlock()
		return nil
	}
	if g.waiting == g.most {
		g.mu.Unlock()
		return ErrSaturated
	}
	w := &waiter{admitted: make(chan struct{})}
	if len(g.queues[group]) == 0 {
		g.turn = append(g.turn, group)
	}
	g.queues[group] = append(g.queues[group], w)
	g.waiting++
	g.mu.Unlock()
	select {
	case <-w.admitted:
		return nil
	case <-ctx.Done():
		g.abandon(group, w)
		return cancelled(ctx)
	case <-life.Done():
		g.abandon(group, w)
		return context.Cause(life)
	}
}

// abandon takes a waiter out that may have been admitted this moment.
func (g *gate) abandon(group string, w *waiter) {
	g.mu.Lock()
	defer g.mu.Unlock()
	select {
	case <-w.admitted:
		g.free++
		g.held--
		g.next()
	default:
		g.waiting--
		g.queues[group] = slices.DeleteFunc(g.queues[group], func(other *waiter) bool { return other == w })
		if len(g.queues[group]) == 0 {
			delete(g.queues, group)
			g.turn = slices.DeleteFunc(g.turn, func(name string) bool { return name == group })
		}
	}
}

// leave frees a place.
func (g *gate) leave() {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.free++
	g.held--
	g.next()
}

// setShut closes the gate to newcomers, or opens it. One is admitted even when
// it is shut if nobody is inside, because else nobody would ever be.
func (g *gate) setShut(shut bool) {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.shut = shut
	g.next()
}

// open reports whether somebody may be admitted. The caller holds the mutex, as
// for all that follow.
func (g *gate) open() bool { return g.free > 0 && (!g.shut || g.held == 0) }

func (g *gate) admit() {
	g.free--
	g.held++
}

// next admits as many waiters as there is room for.
func (g *gate) next() {
	for len(g.turn) > 0 && g.open() {
		group := g.turn[0]
		g.turn = g.turn[1:]
		queue := g.queues[group]
		w := queue[0]
		if len(queue) == 1 {
			delete(g.queues, group)
		} else {
			g.queues[group] = queue[1:]
			g.turn = append(g.turn, group)
		}
		g.waiting--
		g.admit()
		close(w.admitted)
	}
}

// keys lets one holder at a time have each key.
type keys struct {
	mu   sync.Mutex
	held map[string]chan struct{} // closed when it is free again
}

// lock waits until the key is free. The empty key is always free.
func (k *keys) lock(ctx, life context.Context, key string) (unlock func(), err error) {
	if key == "" {
		return func() {}, nil
	}
	for {
		k.mu.Lock()
		busy := k.held[key]
		if busy == nil {
			mine := make(chan struct{})
			if k.held == nil {
				k.held = map[string]chan struct{}{}
			}
			k.held[key] = mine
			k.mu.Unlock()
			return sync.OnceFunc(func() {
				k.mu.Lock()
				defer k.mu.Unlock()
				delete(k.held, key)
				close(mine)
			}), nil
		}
		k.mu.Unlock()
		select {
		case <-busy:
		case <-ctx.Done():
			return nil, cancelled(ctx)
		case <-life.Done():
			return nil, context.Cause(life)
		}
	}
}
