package delivery

import (
	"context"
	"sync"
)

// monitor is a lock with which a goroutine can wait for a condition, or for the end of
// a context.
type monitor struct {
	mu      sync.Mutex
	changed chan struct{} // closed by change; nil if nobody waits
}

// when calls try with the lock held, and again after each change, until it returns true.
// If ctx ends before, the result is ctx's error.
func (m *monitor) when(ctx context.Context, try func() bool) error {
	for {
		m.mu.Lock()
		if try() {
			m.mu.Unlock()
			return nil
		}
		if m.changed == nil {
			m.changed = make(chan struct{})
		}
		changed := m.changed
		m.mu.Unlock()
		select {
		case <-changed:
		case <-ctx.Done():
		}
		if err := ctx.Err(); err != nil {
			return err
		}
	}
}

// change calls f with the lock held, unless it is nil, and wakes all who wait.
func (m *monitor) change(f func()) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if f != nil {
		f()
	}
	if m.changed != nil {
		close(m.changed)
		m.changed = nil
	}
}

// notify puts a value into a channel with room for one, unless a value is there already,
// which says the same.
func notify(c chan<- struct{}) {
	select {
	case c <- struct{}{}:
	default:
	}
}
