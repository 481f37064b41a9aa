package handler

import (
	"context"
	"slices"
)

// memoryCursor is the handle of a target's queue in a Memory. All but the
// channels is guarded by the journal's lock; a closed one still gathers events
// until another cursor of the target takes its queue over.
type memoryCursor struct {
	m *Memory
	queue
	closed bool

	wake   chan struct{} // holds a value when waiting got one
	losses chan struct{} // holds a value when lost grew
	done   chan struct{} // closed by close
}

var _ Cursor = (*memoryCursor)(nil)

func newMemoryCursor(m *Memory) *memoryCursor {
	return &memoryCursor{
		m:      m,
		wake:   make(chan struct{}, 1),
		losses: make(chan struct{}, 1),
		done:   make(chan struct{}),
	}
}

// add queues an entry and, past the limits, gives up the oldest that nobody
// works on. What was handed out is kept: it is either delivered or lost, never
// counted as both. All that was handed out is within the limits, so this ends.
func (c *memoryCursor) add(e *entry) {
	e.refs++
	c.waiting.pushBack(e)
	c.bytes += e.size()
	c.dirty = true
	for c.over(len(c.given)+c.waiting.len(), c.bytes) {
		lost := c.waiting.popFront()
		c.bytes -= lost.size()
		c.punchAt(lost.Seq)
		c.m.release(lost)
		c.lose(1)
	}
	signal(c.wake)
}

func (c *memoryCursor) over(events, bytes int) bool {
	return events > c.m.cfg.MaxPending || bytes > c.m.cfg.MaxPendingBytes
}

func signal(c chan struct{}) {
	select {
	case c <- struct{}{}:
	default: // a value is there already, and says the same
	}
}

func (c *memoryCursor) Next(ctx context.Context) (Record, error) {
	for {
		if err := ctx.Err(); err != nil {
			return Record{}, err
		}
		e, err := c.take()
		if err != nil {
			return Record{}, err
		}
		if e != nil {
			return e.Record, nil
		}
		select {
		case <-c.wake:
		case <-c.done:
		case <-ctx.Done():
		}
	}
}

func (c *memoryCursor) take() (*entry, error) {
	c.m.mu.Lock()
	defer c.m.mu.Unlock()
	if c.closed {
		return nil, ErrClosed
	}
	if c.waiting.len() == 0 {
		return nil, nil
	}
	e := c.waiting.popFront()
	if n := len(c.given); n == 0 || c.given[n-1].Seq < e.Seq {
		c.given = append(c.given, e)
	} else { // e was buried until now
		c.given = slices.Insert(c.given, c.givenAt(e.Seq), e)
	}
	return e, nil
}

func (c *memoryCursor) Ack(seq uint64) error {
	c.m.mu.Lock()
	defer c.m.mu.Unlock()
	if c.closed {
		return ErrClosed
	}
	if e := c.through(seq); e != nil {
		c.m.release(e)
		c.m.changes.wakeWriter()
	}
	return nil
}

// through takes an entry from those handed out; nil when it is not there.
func (c *memoryCursor) through(seq uint64) *entry {
	i := c.givenAt(seq)
	if i == len(c.given) || c.given[i].Seq != seq {
		return nil
	}
	e := c.given[i]
	if i == 0 { // the usual case, in constant time
		c.given[0] = nil
		c.given = c.given[1:]
	} else {
		c.given = slices.Delete(c.given, i, i+1)
	}
	c.bytes -= e.size()
	c.punchAt(seq)
	return e
}

func (c *memoryCursor) Seek(seq uint64) error {
	c.m.mu.Lock()
	defer c.m.mu.Unlock()
	if c.closed {
		return ErrClosed
	}
	// The cursor may hold events that the log does not retain, or that passed
	// an earlier filter.
	next := c.pending()
	for _, b := range c.buried {
		next = append(next, b.entry)
	}
	for i := range c.m.log.len() {
		if e := c.m.log.at(i); c.filters.Match(e.Event.Type, e.Event.Name) {
			next = append(next, e)
		}
	}
	next = slices.DeleteFunc(next, func(e *entry) bool { return e.Seq < seq })
	return c.requeue(seq, nil, next)
}

func (c *memoryCursor) Losses() <-chan struct{} { return c.losses }

func (c *memoryCursor) Status() CursorStatus {
	c.m.mu.Lock()
	defer c.m.mu.Unlock()
	s := CursorStatus{
		Waiting:  len(c.given) + c.waiting.len(),
		Lost:     c.lost,
		GapSince: c.gapSince,
		Buried:   len(c.buried),
	}
	if first := c.first(); first != nil {
		s.Oldest = first.Event.Time
	}
	return s
}

func (c *memoryCursor) Close() error {
	c.m.mu.Lock()
	defer c.m.mu.Unlock()
	c.close()
	return nil
}

func (c *memoryCursor) close() {
	if c.closed {
		return
	}
	c.closed = true
	close(c.done)
	c.setWaiting(c.pending())
	c.given = nil
}
