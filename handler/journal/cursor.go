package journal

import (
	"time"

	"agentctl/handler"
)

// CursorConfig says how a target wants its events. Filters and Collapse count for
// the events that are appended from then on.
type CursorConfig struct {
	// Filters pick the events. Without any, all events are for the target.
	Filters handler.Filters
	// Collapse joins an event to one of equal type, name and payload that
	// waits and was not handed out. The target gets only the first of them.
	// Member events are never joined.
	Collapse bool
	// MaxAge is how long an event may wait, from Event.Time, or from its
	// Requeue in this process. An event that has waited longer when its turn
	// comes is given up, with those joined to it. 0 and less mean for ever.
	MaxAge time.Duration
	// KeepLast keeps the event of RequeueLast, whatever the retention says.
	KeepLast bool
}

// Cursor holds the events that one target has yet to get. Next is for one goroutine
// at a time; all other methods are safe for concurrent use.
//
// A Cursor is the handle of its target's queue. The journal's lock guards all of it
// but the channels. A closed cursor goes on gathering events, until another cursor
// of the target takes its queue over.
type Cursor struct {
	journal *Journal
	queue
	maxAge time.Duration
	closed bool
	// successor has taken the queue over; nil before.
	successor *Cursor

	wake   chan struct{} // holds a value after an event began to wait
	losses chan struct{} // holds a value after a loss
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

// add queues an entry and, past the limits, gives up the oldest entries that were
// not handed out. Those that were handed out stay: an event is either delivered or
// lost, and never counts as both. They are within the limits, so this ends.
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

// enqueue makes an entry wait behind all others, unless it is joined to one. It is
// false for an entry that was joined.
func (c *Cursor) enqueue(e *Entry) bool {
	if c.join(e) {
		delete(c.asked, e.Seq) // from now on it is as old as its leader
		return false
	}
	c.journal.hold(e)
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

// Status tells how the cursor stands. A closed cursor tells how the next one of its target
// stands, once there is one.
func (c *Cursor) Status() CursorStatus {
	c.journal.mu.Lock()
	defer c.journal.mu.Unlock()
	return c.newest().status()
}

// newest is the cursor that has the queue.
func (c *Cursor) newest() *Cursor {
	for c.successor != nil {
		c = c.successor
	}
	return c
}

func (c *Cursor) status() CursorStatus {
	s := CursorStatus{
		Waiting:   len(c.given) + c.waiting.Len() + c.joined,
		Collapsed: c.collapsed,
		Lost:      c.lost,
		Expired:   c.expired,
		Gap:       c.gap,
		Buried:    len(c.buried),

		RefusingSince: c.refusingSince(),
	}
	if first := c.first(); first != nil {
		s.Oldest = first.Event.Time
	}
	return s
}

// Close ends Next, and frees the target for another call of Journal.Cursor. Events
// that were handed out and are not settled wait again. The error is always nil.
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

// CursorStatus tells how a cursor stands.
type CursorStatus struct {
	// Waiting counts the pending events, handed out or not, and those joined to
	// them, as far as the history retains these.
	Waiting int
	// Oldest is the time of the oldest pending event; zero if there is none.
	Oldest time.Time
	// Collapsed counts the events that were joined, since the cursor was opened
	// in this process.
	Collapsed uint64
	// Lost counts the events that the cursor lost since the target was first
	// known. Too many waited, one waited longer than MaxAge, or they were lost
	// before they came into the journal. Expired counts the lost events that
	// waited longer than MaxAge.
	Lost    uint64
	Expired uint64
	Gap     Gap
	// Buried counts the events that are buried now.
	Buried int
	// RefusingSince is the time of the first burial after the last event that the
	// target took, of those that are buried now; zero if there is none.
	RefusingSince time.Time
}
