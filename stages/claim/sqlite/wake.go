package sqlite

import (
	"slices"
	"sync"
)

// place is a queue of a file.
type place struct {
	path  string
	queue int64
}

// bells wake the opened queues of one driver, which is to say of this process:
// SQLite tells nobody of what other processes write.
type bells struct {
	mu sync.Mutex
	at map[place][]chan struct{}
}

func (b *bells) add(p place, bell chan struct{}) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.at == nil {
		b.at = map[place][]chan struct{}{}
	}
	b.at[p] = append(b.at[p], bell)
}

func (b *bells) remove(p place, bell chan struct{}) {
	b.mu.Lock()
	defer b.mu.Unlock()
	rest := slices.DeleteFunc(b.at[p], func(c chan struct{}) bool { return c == bell })
	if len(rest) == 0 {
		delete(b.at, p)
		return
	}
	b.at[p] = rest
}

func (b *bells) ring(p place) {
	b.mu.Lock()
	defer b.mu.Unlock()
	for _, bell := range b.at[p] {
		select {
		case bell <- struct{}{}:
		default: // it has not been looked at since the last one
		}
	}
}

// Wakes returns the channel that gets a value when this process has made
// something claimable, through this or another opened queue of the driver.
func (q *Queue) Wakes() <-chan struct{} { return q.bell }

func (q *Queue) ring(queue int64) { q.wakes.ring(place{q.path, queue}) }
