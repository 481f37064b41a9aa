package journal

import (
	"time"

	"agentctl/handler"
)

// CursorConfig is what a target wants of its cursor.
type CursorConfig struct {
	Filters handler.Filters
	// Collapse joins an event to one of equal type, name and payload that
	// waits for its turn: the target gets the first of them only. Member
	// events are never joined.
	Collapse bool
	// MaxAge is for how long an event may wait, by Event.Time, or since its
	// Requeue in this process: one that has waited longer when its turn comes is
	// given up, with what was joined to it. 0 and less: for ever.
	MaxAge time.Duration
	// KeepLast keeps an event for RequeueLast, whatever the retention says.
	KeepLast bool
}

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

// CursorStatus is how a cursor stands.
type CursorStatus struct {
	// Waiting counts the events not acknowledged, handed out or not, and those
	// joined to them, as far as the log retains these.
	Waiting int
	// Oldest is when the oldest of them was first known; zero when none waits.
	Oldest time.Time
	// Collapsed counts the events that were joined to one that waited, since
	// the cursor was opened in this process.
	Collapsed uint64
	// Lost counts, since the cursor is there, the events that it had to give up
	// because too many waited, those that waited longer than MaxAge (Expired,
	// among them), and those that never came into the journal.
	Lost    uint64
	Expired uint64
	Gap     Gap
	// Buried counts the events that are buried.
	Buried int
}
