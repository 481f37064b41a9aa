package handler

import "time"

// Gap counts events that were lost on the way to the journal.
func (m *Memory) Gap(n uint64, reason string) error {
	return m.lose(n, reason, func(*memoryCursor) bool { return true })
}

// Lose counts one of a known type and name.
func (m *Memory) Lose(typ Type, name, reason string) error {
	return m.lose(1, reason, func(c *memoryCursor) bool { return c.filters().Match(typ, name) })
}

// lose counts losses of the cursors that had them.
func (m *Memory) lose(n uint64, reason string, had func(*memoryCursor) bool) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.closed {
		return ErrClosed
	}
	for _, c := range m.cursors {
		if had(c) {
			c.lose(n, reason)
		}
	}
	m.changes.wakeWriter()
	return nil
}

// lose counts events that this cursor will never hand out, and opens a gap if
// there is none.
func (c *memoryCursor) lose(n uint64, reason string) {
	if !c.gap.Open() {
		c.gap.Since = time.Now()
	}
	c.gap.Mark++
	c.gap.Reason = excerpt(reason, maxReason)
	c.lost += n
	c.dirty = true
	signal(c.losses)
}

func (c *memoryCursor) Losses() <-chan struct{} { return c.losses }

func (c *memoryCursor) Gap(n uint64, reason string) error {
	c.m.mu.Lock()
	defer c.m.mu.Unlock()
	if c.closed {
		return ErrClosed
	}
	c.lose(n, reason)
	c.m.changes.wakeWriter()
	return nil
}

func (c *memoryCursor) Mend(mark uint64, at time.Time) error {
	c.m.mu.Lock()
	defer c.m.mu.Unlock()
	switch {
	case c.closed:
		return ErrClosed
	case !c.gap.Open():
		return nil
	case c.gap.Mark <= mark:
		c.gap = Gap{Mark: c.gap.Mark}
	case at.After(c.gap.Since):
		c.gap.Since = at
	}
	c.dirty = true
	c.m.changes.wakeWriter()
	return nil
}
