package delivery

import (
	"context"
	"sync"
)

// monitor is a lock, and a way to wait until what it guards, or tells of, has
// come to be, or a context has ended.
type monitor struct {
	mu      sync.Mutex
	changed chan struct{} // closed by change; nil when nobody waits
}

// when calls try, with the lock held, until it returns true, and then returns
// nil; it returns ctx's error where that ends before. It is called again after
// each change.
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

// change calls f, if there is one, with the lock held, and wakes all who wait.
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

// notify puts a value into a channel that holds one, unless one is there already
// and says the same.
func notify(c chan<- struct{}) {
	select {
	case c <- struct{}{}:
	default:
	}
}
