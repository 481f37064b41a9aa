package handler

import (
	"maps"
	"slices"
)

// Cursor opens the cursor of a target.
func (m *Memory) Cursor(target string, cfg CursorConfig) (Cursor, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.closed {
		return nil, ErrClosed
	}
	old := m.cursors[target]
	if old != nil && !old.closed {
		return nil, ErrCursorInUse
	}
	c := newMemoryCursor(m)
	if old == nil {
		c.queue = queue{eras: []era{{m.head + 1, cfg.Filters}}, since: m.head + 1, dirty: true, moved: true}
	} else {
		c.queue, old.queue = old.queue, queue{}
		if c.filters().String() != cfg.Filters.String() {
			c.newEra(cfg.Filters)
		}
		if c.gap.Open() {
			signal(c.losses)
		}
	}
	c.maxAge, c.collapsed = cfg.MaxAge, 0
	c.setCollapse(cfg.Collapse)
	c.keepLast(cfg.KeepLast)
	m.cursors[target] = c
	m.changes.wakeWriter()
	return c, nil
}

// Targets names the targets of all cursors.
func (m *Memory) Targets() []string {
	m.mu.Lock()
	defer m.mu.Unlock()
	return slices.Sorted(maps.Keys(m.cursors))
}

// CursorStatus tells how a target's cursor stands.
func (m *Memory) CursorStatus(target string) (CursorStatus, bool) {
	m.mu.Lock()
	defer m.mu.Unlock()
	c := m.cursors[target]
	if c == nil {
		return CursorStatus{}, false
	}
	return c.status(), true
}

// Outcome tells what became of an event for a target.
func (m *Memory) Outcome(target string, seq uint64) Outcome {
	m.mu.Lock()
	defer m.mu.Unlock()
	c := m.cursors[target]
	if c == nil {
		return Outcome{}
	}
	return c.outcome(seq)
}

// Forget drops a closed cursor.
func (m *Memory) Forget(target string) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	c := m.cursors[target]
	if c == nil {
		return nil
	}
	if !c.closed {
		return ErrCursorInUse
	}
	delete(m.cursors, target)
	c.releaseAll()
	m.changes.forget(target)
	m.changes.wakeWriter()
	return nil
}
