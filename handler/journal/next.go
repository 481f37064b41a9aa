package journal

import (
	"context"
	"slices"
	"time"
)

// Next hands out the oldest event that waits. If none does, it waits for one, until
// ctx ends or the cursor is closed, with ErrClosed. It gives up events that are
// older than MaxAge, so only a caller of Next makes them expire.
func (c *Cursor) Next(ctx context.Context) (Record, error) {
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

func (c *Cursor) take() (*Entry, error) {
	c.journal.mu.Lock()
	defer c.journal.mu.Unlock()
	if c.closed {
		return nil, ErrClosed
	}
	c.expire()
	if c.waiting.Len() == 0 {
		return nil, nil
	}
	e := c.waiting.PopFront()
	c.unlead(e)
	if n := len(c.given); n == 0 || c.given[n-1].Seq < e.Seq {
		c.given = append(c.given, e)
	} else { // e was requeued
		c.given = slices.Insert(c.given, c.givenAt(e.Seq), e)
	}
	return e, nil
}

// expire gives up the events that have waited for too long.
func (c *Cursor) expire() {
	if c.maxAge <= 0 || c.waiting.Len() == 0 {
		return
	}
	before, oldest := c.lost, time.Now().Add(-c.maxAge)
	for c.waiting.Len() > 0 && c.waitsSince(c.waiting.At(0)).Before(oldest) {
		c.giveUp(c.waiting.PopFront(), waitedTooLong)
	}
	if c.lost > before {
		c.expired += c.lost - before
		c.journal.changes.wakeWriter()
	}
}

// waitsSince returns the time from which on an entry has waited.
func (c *Cursor) waitsSince(e *Entry) time.Time {
	if asked, ok := c.asked[e.Seq]; ok {
		return asked
	}
	return e.Event.Time
}
