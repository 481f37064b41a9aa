package journal

import (
	"context"
	"slices"
	"time"
)

// Cursor is a target's place in a Journal: the events that it was to have
// and that are not done. Next is for one goroutine at a time; all else may be
// called from any.
//
// It is the handle of the target's queue. All but the channels is guarded by the
// journal's lock; a closed one still gathers events until another cursor of the
// target takes its queue over.
type Cursor struct {
	journal *Journal
	queue
	maxAge time.Duration
	closed bool

	wake   chan struct{} // holds a value when waiting got one
	losses chan struct{} // holds a value when there was a loss
	done   chan struct{} // closed by close
}

func newCursor(j *Journal) *Cursor {
	return &Cursor{
		journal: j,
		wake:    make(chan struct{}, 1),
		losses:  make(chan struct{}, 1),
		done:    make(chan struct{}),
	}
}

// add queues an entry and, past the limits, gives up the oldest that nobody
// works on. What was handed out is kept: it is either delivered or lost, never
// counted as both. All that was handed out is within the limits, so this ends.
func (c *Cursor) add(e *Entry) {
	if !c.enqueue(e) {
		c.collapsed++
		return
	}
	c.dirty = true
	for c.over(len(c.given)+c.waiting.Len(), c.bytes) {
		c.giveUp(c.waiting.PopFront(), tooManyWaited)
	}
	signal(c.wake)
}

// enqueue makes an entry wait behind all others, unless it is joined to one.
func (c *Cursor) enqueue(e *Entry) bool {
	if c.join(e) {
		delete(c.asked, e.Seq) // from here on it is as old as its leader
		return false
	}
	e.refs++
	c.waiting.PushBack(e)
	c.bytes += e.size()
	return true
}

func (c *Cursor) over(events, bytes int) bool {
	return events > c.journal.cfg.MaxPending || bytes > c.journal.cfg.MaxPendingBytes
}

func signal(c chan struct{}) {
	select {
	case c <- struct{}{}:
	default: // a value is there already, and says the same
	}
}

// Next hands out the oldest event that matches and was not handed out yet, and
// waits for one where there is none.
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

// expire gives up what has waited for too long.
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

// waitsSince is from when on an entry has waited.
func (c *Cursor) waitsSince(e *Entry) time.Time {
	if asked, ok := c.asked[e.Seq]; ok {
		return asked
	}
	return e.Event.Time
}

// Ack says that the target has taken this one event, which was handed out, and
// answered with an HTTP status. Acks may come in any order. Of an event not
// handed out it says nothing.
func (c *Cursor) Ack(seq uint64, status int) error {
	return c.conclude(seq, verdictDelivered, status)
}

// Outdate is Ack for an event that was not posted, as it is not true any more.
func (c *Cursor) Outdate(seq uint64) error { return c.conclude(seq, verdictOutdated, 0) }

func (c *Cursor) conclude(seq uint64, v verdict, status int) error {
	now := time.Now()
	c.journal.mu.Lock()
	defer c.journal.mu.Unlock()
	if c.closed {
		return ErrClosed
	}
	if e := c.takeGiven(seq); e != nil {
		c.settle(e, v, now, status)
		c.journal.release(e)
		c.journal.changes.wakeWriter()
	}
	return nil
}

// settled takes an entry from those handed out; nil when it is not there.
func (c *Cursor) takeGiven(seq uint64) *Entry {
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
	c.addExceptionAround(seq)
	return e
}

// Status tells how the cursor stands.
func (c *Cursor) Status() CursorStatus {
	c.journal.mu.Lock()
	defer c.journal.mu.Unlock()
	return c.status()
}

func (c *Cursor) status() CursorStatus {
	s := CursorStatus{
		Waiting:   len(c.given) + c.waiting.Len() + c.joined,
		Collapsed: c.collapsed,
		Lost:      c.lost,
		Expired:   c.expired,
		Gap:       c.gap,
		Buried:    len(c.buried),
	}
	if first := c.first(); first != nil {
		s.Oldest = first.Event.Time
	}
	return s
}

// Close frees the cursor for another Cursor call. What was handed out and not
// acknowledged waits again.
func (c *Cursor) Close() error {
	c.journal.mu.Lock()
	defer c.journal.mu.Unlock()
	c.close()
	return nil
}

func (c *Cursor) close() {
	if c.closed {
		return
	}
	c.closed = true
	close(c.done)
	c.setWaiting(c.pending())
	c.given = nil
	c.arrange()
}
